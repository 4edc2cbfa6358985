"""`float8 train`: the same model twice from one seed, in BF16 and in FP8, and what came of it.

One after the other and not in alternation: only one model is in memory, so that what fits in FP8
alone can be compared too, and a checkpoint holds one model.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import float8
from float8.config import Fp8Config
from float8.train.checkpoint.export import export
from float8.train.checkpoint.saver import list_checkpoints, load_trainer, step_of
from float8.train.config.settings import Settings
from float8.train.console import View
from float8.train.data.loader import load_rows
from float8.train.data.packing import PackedRows
from float8.train.device import choose_device
from float8.train.failures import explained_memory
from float8.train.folder import check_room, run_folder
from float8.train.hub import without_hub
from float8.train.interrupt import StopRequest
from float8.train.job import Job, check_same_settings
from float8.train.loop import Run
from float8.train.metrics import read_metrics
from float8.train.model import (
    build_model,
    compile_blocks,
    meta_model,
    read_model_config,
)
from float8.train.picture import draw_losses
from float8.train.plan import show_plan
from float8.train.pretrained import check_weights
from float8.train.processes.launch import is_launched
from float8.train.processes.ranks import Ranks, process_group
from float8.train.processes.shard import make_mesh, shard_model
from float8.train.processes.weights import fill, skeleton
from float8.train.summary import summarize


def train_command(settings: Settings, resume: bool, skip_nan: bool = False) -> None:
    """Runs `float8 train`.

    Args:
        settings: the checked configuration.
        resume: go on from the newest checkpoint in the run's folder.
        skip_nan: leave out steps whose loss is not finite, instead of stopping.

    Raises:
        float8.ConfigError, TrainError, RunStoppedError, OSError: see `Run.train` and the readers.
    """
    with process_group(settings) as ranks:
        _train(settings, resume, skip_nan, ranks)


def _train(settings: Settings, resume: bool, skip_nan: bool, ranks: Ranks) -> None:
    view = View(quiet=not ranks.main)
    # Everything that can be wrong is looked at before the first minute of training is spent.
    if note := without_hub(settings):
        view.line(note)
    config = read_model_config(settings)
    model = meta_model(settings, config)
    if note := check_weights(settings, model):
        view.line(note)
    rows, held_out = _load_all_rows(settings, ranks)
    for read in (rows, held_out):
        if read:
            view.line(read.summary)
    if settings.model.trust_remote_code and not settings.trust_remote_code:
        view.line("model.trust_remote_code: no code is run without --trust-remote-code")
    show_plan(settings, config, view)
    device = choose_device(settings, view, ranks.local_rank)
    parameters = sum(each.numel() for each in model.parameters())
    with (
        _folder(settings, resume, view, ranks, parameters) as folder,
        StopRequest(ranks.main and not is_launched()) as stop,
    ):
        job = Job(settings, device, rows, held_out, view, stop, ranks, skip_nan)
        _describe(job)
        names = run_names(settings)
        for name in names:
            if not (resume and _is_finished(job, name)):
                _train_one(job, config, name, resume)
                gc.collect()  # a sharded model is part of cycles; two of them may not fit
        if not ranks.main:
            return
        runs = {name: read_metrics(folder, name) for name in names}
        summarize(view, runs)
        picture = folder / "loss.png"
        draw_losses(picture, _title(settings), runs)
        view.line(f"picture {picture}; metrics {folder}/*/metrics.jsonl, {folder}/tensorboard")


def _load_all_rows(settings: Settings, ranks: Ranks) -> tuple[PackedRows, PackedRows | None]:
    """Rank 0 first: it may leave a pack on the disk, which the others then only open."""
    if not ranks.main:
        ranks.agree()
    rows = load_rows(settings, "dataset")
    held_out = load_rows(settings, "validation_dataset") if settings.validation_dataset else None
    if ranks.main:
        ranks.agree()
    check_rows(settings, len(rows), ranks.world)
    return rows, held_out


def check_rows(settings: Settings, rows: int, world: int) -> None:
    """Raises ConfigError where there are not enough rows for one microbatch of each process."""
    needed = settings.step_scheduler.local_batch_size * world
    if rows < needed:
        raise settings.document.error(
            "dataset", f"{needed} rows (local_batch_size for each of {world} processes)",
            f"{rows} rows",
        )  # fmt: skip


@contextmanager
def _folder(
    settings: Settings, resume: bool, view: View, ranks: Ranks, parameters: int
) -> Iterator[Path]:
    """The run's folder, which rank 0 makes ready and locks while the others wait."""
    with contextlib.ExitStack() as stack:
        if ranks.main:
            check_room(settings, parameters)
            stack.enter_context(run_folder(settings, resume, view))
        ranks.agree()
        yield settings.output_dir


def run_names(settings: Settings) -> list[str]:
    """The runs that a configuration asks for, in their order."""
    if not settings.fp8.enabled:
        return ["bf16"]
    return ["bf16", "fp8"] if settings.bf16_baseline else ["fp8"]


def _train_one(job: Job, config: Any, name: str, resume: bool) -> None:
    settings, ranks = job.settings, job.ranks
    single = ranks.world == 1
    model: Any = build_model(settings, config, job.device) if single else skeleton(settings, config)
    if name == "fp8":
        model = float8.plan_conversion(model, config=_fp8_of(settings, single)).apply()
    if settings.compile.enabled:
        blocks = compile_blocks(model, settings.compile)
        job.view.line(f"{name}: {blocks} blocks compiled one by one, at their first step")
    if not single:
        shard_model(model, settings, make_mesh(settings, ranks, job.device))
        with explained_memory(settings, model):
            fill(model, settings, config, ranks, job.device)
    seed_draws(settings, ranks)
    run = Run(job, name, model, resume)
    if run.step:
        job.view.line(f"{name}: going on after step {run.step}")
    run.train()
    if settings.checkpoint.save_consolidated:
        exported = _export_folder(settings, name)
        export(model, settings, config, exported, ranks)
        job.view.line(f"{name}: model for from_pretrained in {exported}")


def _export_folder(settings: Settings, name: str) -> Path:
    return settings.checkpoint_dir / name / "consolidated"


def _fp8_of(settings: Settings, single: bool) -> Fp8Config:
    """Without FSDP2 the all-gather has no effect: plain weights, which can be cached."""
    if not single:
        return settings.fp8
    return dataclasses.replace(
        settings.fp8,
        enable_fsdp_float8_all_gather=False,
        precompute_float8_dynamic_scale_for_fsdp=False,
    )


def seed_draws(settings: Settings, ranks: Ranks) -> None:
    """What is drawn from here on (dropout) differs from rank to rank, or not: `rng.ranked`."""
    torch.manual_seed(settings.rng.seed + (ranks.rank if settings.rng.ranked else 0))


def _is_finished(job: Job, name: str) -> bool:
    """Whether the run's last checkpoint is of its last step, and its model was exported after it.

    Raises:
        ConfigError: the checkpoint is of another run than the settings describe.
    """
    return bool(job.ranks.agree(job.ranks.main and _nothing_left(job, name)))


def _nothing_left(job: Job, name: str) -> bool:
    newest = list_checkpoints(job.settings.checkpoint_dir / name)[-1:]
    if not newest or step_of(newest[0]) < job.total_steps:
        return False
    check_same_settings(newest[0], load_trainer(newest[0])["settings"], job.settings)
    exported = _export_folder(job.settings, name)
    if job.settings.checkpoint.save_consolidated and not _is_newer(exported, newest[0]):
        return False
    job.view.line(
        f"{name}: finished before, after step {step_of(newest[0])}; nothing is left to do"
    )
    return True


def _is_newer(folder: Path, other: Path) -> bool:
    return folder.exists() and folder.stat().st_mtime >= other.stat().st_mtime


def _describe(job: Job) -> None:
    scheduler = job.settings.step_scheduler
    where = job.device.type
    if job.device.type == "cuda":
        where = torch.cuda.get_device_name(job.device)
    elif job.settings.fp8.enabled:
        where += " (FP8 emulated: the numbers are FP8's, the speed is not)"
    world = job.ranks.world
    together = f", sharded over {world} processes" if world > 1 else ""
    job.view.line(
        f"{job.total_steps} steps of {scheduler.global_batch_size} x {job.rows.longest} tokens, "
        f"on {where}{together}"
    )


def _title(settings: Settings) -> str:
    recipe = f"FP8 ({settings.fp8.recipe_name or 'tensorwise'})"
    labels = [recipe if name == "fp8" else "BF16" for name in run_names(settings)]
    return f"{settings.output_dir.name}: {' and '.join(labels)}"
