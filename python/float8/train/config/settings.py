"""A whole training configuration, read and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import float8
from float8.train.config import targets
from float8.train.config.data_settings import check_data, check_data_targets, data_targets
from float8.train.config.document import Document, Override, load_document
from float8.train.config.sections import (
    SECTIONS,
    Checkpoint,
    ClipGradNorm,
    DataLoader,
    Dataset,
    DistEnv,
    Distributed,
    DistributedConfig,
    Logging,
    LossFn,
    LrScheduler,
    Model,
    Optimizer,
    PackedSequence,
    Rng,
    StepScheduler,
    ValidationDataLoader,
    Wandb,
)
from float8.train.config.validate import describe, read_scalar, read_section
from float8.train.optim import read_optimizer

if TYPE_CHECKING:
    from float8.config import CompileConfig, Fp8Config

_SCALARS = ("recipe", "output_dir", "bf16_baseline")
# What the reference's files tell its own test machines, and its training takes no notice of.
_NOT_FOR_TRAINING = ("ci", "benchmark")
TOP_LEVEL = (*_SCALARS, "fp8", "compile", *SECTIONS, *_NOT_FOR_TRAINING)


@dataclass(frozen=True)
class Settings:
    """A whole configuration, checked. `document` is kept for errors that only show later."""

    document: Document
    fp8: Fp8Config
    compile: CompileConfig
    output_dir: Path
    bf16_baseline: bool
    step_scheduler: StepScheduler
    distributed: Distributed
    distributed_config: DistributedConfig
    dist_env: DistEnv
    rng: Rng
    model: Model
    checkpoint: Checkpoint
    dataset: Dataset
    validation_dataset: Dataset | None
    packed_sequence: PackedSequence
    dataloader: DataLoader
    validation_dataloader: ValidationDataLoader
    loss_fn: LossFn
    optimizer: Optimizer
    lr_scheduler: LrScheduler
    clip_grad_norm: ClipGradNorm
    logging: Logging
    wandb: Wandb | None
    trust_remote_code: bool = False

    @property
    def checkpoint_dir(self) -> Path:
        """Where checkpoints lie: in the run's folder, unless the command line says otherwise."""
        own = self.checkpoint.checkpoint_dir
        if own and self.document.from_command_line("checkpoint.checkpoint_dir"):
            return Path(own)
        return self.output_dir / (own or "checkpoints")


def load_settings(
    path: str, overrides: Sequence[Override] = (), trust_remote_code: bool = False
) -> Settings:
    """Reads and checks a configuration file.

    Args:
        path: the YAML file.
        overrides: (dotted key, YAML text) pairs from the command line.
        trust_remote_code: the command line allows what `model.trust_remote_code` asks for: to run
            code of a model's or tokenizer's folder. Either alone runs none.

    Raises:
        FileNotFoundError: there is no such file.
        float8.ConfigError: anything else that is wrong with it, by file, line and key.
    """
    document = load_document(path, overrides)
    for name in document.tree:
        if name not in TOP_LEVEL:
            raise document.error(name, "a section", f"`{name}`", TOP_LEVEL)
    check_data_targets(document)
    native = float8.load_config(path, list(overrides))
    sections: dict[str, Any] = {
        name: read_section(document, name, section)
        for name, section in SECTIONS.items()
        if name != "optimizer"
    }
    sections["optimizer"] = read_optimizer(document)
    for name in ("validation_dataset", "wandb"):
        if document.tree.get(name) is None:
            sections[name] = None
    output_dir = read_scalar(document, "output_dir", str, None) or f"runs/{Path(path).stem}"
    settings = Settings(
        document=document,
        fp8=native.fp8,
        compile=native.compile,
        output_dir=Path(output_dir),
        bf16_baseline=read_scalar(document, "bf16_baseline", bool, False),
        trust_remote_code=trust_remote_code and sections["model"].trust_remote_code,
        **sections,
    )
    _check_targets(settings)
    _check_together(settings)
    return settings


def _check_targets(settings: Settings) -> None:
    document = settings.document
    recipe = document.tree.get("recipe")
    if isinstance(recipe, dict) and set(recipe) == {"_target_"}:
        recipe = recipe["_target_"]  # the reference's newer files write it so
    if not isinstance(recipe, str | None):
        raise document.error("recipe", "a string", describe(recipe))
    for dotted, name, table in (
        ("recipe", recipe, targets.RECIPE),
        ("rng._target_", settings.rng._target_, targets.RNG),
        ("model._target_", settings.model._target_, targets.MODEL),
        ("distributed._target_", settings.distributed._target_, targets.DISTRIBUTED),
        (
            "distributed_config._target_",
            settings.distributed_config._target_,
            targets.DISTRIBUTED_CONFIG,
        ),
        *data_targets(settings),
        ("loss_fn._target_", settings.loss_fn._target_, targets.LOSS),
        ("optimizer._target_", settings.optimizer._target_, targets.OPTIMIZER),
    ):
        if name is not None:
            targets.look_up(document, dotted, name, table)


def _check_together(settings: Settings) -> None:
    """What no single key can tell."""
    document, scheduler = settings.document, settings.step_scheduler
    if scheduler.max_steps is None and scheduler.num_epochs is None:
        raise document.error(
            "step_scheduler.max_steps", "max_steps or num_epochs, to know when to stop", "neither"
        )
    if scheduler.global_batch_size % scheduler.local_batch_size:
        raise document.error(
            "step_scheduler.global_batch_size",
            f"a multiple of local_batch_size ({scheduler.local_batch_size})",
            describe(scheduler.global_batch_size),
        )
    for size in ("tp_size", "cp_size", "pp_size"):
        value = getattr(settings.distributed, size)
        if value not in (None, 1):
            raise document.error(
                f"distributed.{size}", "1 or none: only data is parallel", describe(value)
            )
    if settings.distributed.sequence_parallel:
        raise document.error(
            "distributed.sequence_parallel", "false: there is no tensor parallelism", "true"
        )
    _check_safe(settings)
    check_data(settings)
    model = settings.model
    if (model.pretrained_model_name_or_path is None) == (not model.config):
        raise document.error(
            "model", "either config or pretrained_model_name_or_path", "both or neither"
        )


def _check_safe(settings: Settings) -> None:
    """What only the person at the command line may decide, not a file from somewhere."""
    document, wandb = settings.document, settings.wandb
    paths = {"checkpoint.checkpoint_dir": settings.checkpoint.checkpoint_dir}
    paths |= {"wandb.save_dir": wandb.save_dir if wandb else None}
    for key, path in paths.items():
        if path is None or document.from_command_line(key):
            continue
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise document.error(
                key,
                f"a folder in output_dir; elsewhere by --{key} on the command line",
                f"`{path}`",
            )


def as_plain(settings: Settings) -> dict[str, Any]:
    """The settings that decide what a run computes, as nested plain values."""
    plain: dict[str, Any] = {name: settings.document.tree.get(name) for name in ("fp8", "compile")}
    for name in SECTIONS:
        section = getattr(settings, name)
        plain[name] = None if section is None else asdict(section)
    return plain
