"""The sections of a training configuration and their keys: names, types, defaults, limits.

Section and key names are the reference's (NeMo AutoModel), so that a quickstart file grows into a
recipe by adding sections. configs/README.md explains each key. `fp8` and `compile` are C++'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from float8.train.config.validate import key, shorthand


@dataclass(frozen=True)
class StepScheduler:
    """How much is trained, in which portions, and what happens every so many steps."""

    global_batch_size: int = key(8, minimum=1)
    local_batch_size: int = key(1, minimum=1)
    max_steps: int | None = key(None, minimum=1)
    num_epochs: int | None = key(None, minimum=1)
    ckpt_every_steps: int | None = key(None, minimum=1)
    val_every_steps: int | None = key(None, minimum=1)


@dataclass(frozen=True)
class DistEnv:
    """The process group; without effect in one process."""

    backend: str | None = key(None, choices=("gloo", "nccl"))
    timeout_minutes: float | None = key(None, above=0)


@dataclass(frozen=True)
class Distributed:
    """The parallel layout: data parallel, sharded by FSDP2."""

    _target_: str | None = key(None)
    strategy: str | None = key(None, choices=("fsdp2",))
    dp_size: int | None = key(None, minimum=1)
    dp_replicate_size: int | None = key(None, minimum=1)
    tp_size: int | None = key(None, minimum=1)
    cp_size: int | None = key(None, minimum=1)
    pp_size: int | None = key(None, minimum=1)
    sequence_parallel: bool = key(False)
    use_hf_tp_plan: bool = key(False)
    defer_fsdp_grad_sync: bool = key(False)


@dataclass(frozen=True)
class DistributedConfig:
    """The same in the words of some of the reference's files."""

    _target_: str | None = key(None)
    sequence_parallel: bool = key(False)


@dataclass(frozen=True)
class Rng:
    """The seed of the weights and of the order of the data."""

    _target_: str | None = key(None)
    seed: int = key(42, minimum=0, below=2**32)
    ranked: bool = key(True)


@dataclass(frozen=True)
class Model:
    """A causal language model of transformers: inline values, a local folder, or a hub name."""

    _target_: str = key("transformers.AutoModelForCausalLM.from_config")
    pretrained_model_name_or_path: str | None = key(None)
    config: dict[str, Any] = field(default_factory=dict)
    torch_dtype: str = key(
        "bfloat16",
        choices=("bfloat16", "float32"),
        aliases={
            "bf16": "bfloat16",
            "torch.bfloat16": "bfloat16",
            "fp32": "float32",
            "torch.float32": "float32",
        },
    )
    trust_remote_code: bool = key(False)


@dataclass(frozen=True)
class Checkpoint:
    """Where the run's state is kept, in which form, and how much of it."""

    enabled: bool = key(True)
    checkpoint_dir: str | None = key(None)
    model_save_format: str = key("safetensors", choices=("safetensors", "torch_save"))
    save_consolidated: bool = key(False)
    keep_last: int = key(1, minimum=1)


@dataclass(frozen=True)
class TokenizerName:
    """A tokenizer of transformers, or `bytes`. A string alone is the name."""

    _target_: str | None = key(None)
    pretrained_model_name_or_path: str | None = key(None)


@dataclass(frozen=True)
class Dataset:
    """Rows to train on: of a file, a folder, the hub, or (null) the Python documentation."""

    _target_: str | None = key(None)
    path: str | None = key(None)
    path_or_dataset: str | None = key(None)
    split: str | None = key(None, choices=("train", "validation", "test"))
    num_samples_limit: int | None = key(None, minimum=1)
    max_malformed_rows: int = key(0, minimum=0)
    pad_to_max_length: bool | None = key(None)
    seq_length: int | None = key(None, minimum=2)
    tokenizer: TokenizerName = field(
        default=TokenizerName(), metadata=shorthand("pretrained_model_name_or_path")
    )

    @property
    def file(self) -> str | None:
        """The file, folder or hub name by either of its two names."""
        return self.path if self.path is not None else self.path_or_dataset

    @property
    def file_key(self) -> str:
        """Which of the two names it has."""
        return "path" if self.path is not None else "path_or_dataset"


@dataclass(frozen=True)
class PackedSequence:
    """The length of a row into which documents are packed; 0: each has a row of its own."""

    packed_sequence_size: int = key(0, minimum=0)
    packing_strategy: str | None = key(None, choices=("thd", "neat"))
    split_across_pack: bool | None = key(None)
    drop_long_samples: bool = key(False)


@dataclass(frozen=True)
class CollateFn:
    """How rows become a batch. A string alone is the reference's name of it."""

    _target_: str | None = key(None)
    pad_seq_len_divisible: int | None = key(None, minimum=1)


@dataclass(frozen=True)
class DataLoader:
    """How rows are drawn."""

    _target_: str | None = key(None)
    collate_fn: CollateFn = field(default=CollateFn(), metadata=shorthand("_target_"))
    shuffle: bool = key(True)


@dataclass(frozen=True)
class ValidationDataLoader:
    """How validation rows become batches; they are always taken in order."""

    _target_: str | None = key(None)
    collate_fn: CollateFn = field(default=CollateFn(), metadata=shorthand("_target_"))
    shuffle: bool = key(False)


@dataclass(frozen=True)
class LossFn:
    """Cross entropy over the target tokens; the section only names it."""

    _target_: str | None = key(None)


@dataclass(frozen=True)
class Optimizer:
    """An optimizer of torch.optim; `others` are the keys that only some of them take."""

    _target_: str = key("torch.optim.AdamW")
    lr: float = key(1e-3, above=0)
    betas: tuple[float, float] | None = key(None, minimum=0, below=1)
    eps: float | None = key(None, above=0)
    weight_decay: float | None = key(None, minimum=0)
    others: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LrScheduler:
    """The learning rate over the steps."""

    lr_decay_style: str = key("constant", choices=("constant", "cosine", "linear"))
    lr_warmup_steps: int = key(0, minimum=0)
    min_lr: float = key(0.0, minimum=0)


@dataclass(frozen=True)
class ClipGradNorm:
    """The limit of the gradients' global norm; null leaves them as they are."""

    max_norm: float | None = key(None, above=0)


@dataclass(frozen=True)
class Logging:
    """What is reported beside loss and speed. This section is not the reference's."""

    health_every: int | None = key(None, minimum=1)


@dataclass(frozen=True)
class Wandb:
    """Weights & Biases; the section's presence turns it on."""

    project: str | None = key(None)
    entity: str | None = key(None)
    name: str | None = key(None)
    mode: str | None = key(None, choices=("online", "offline", "disabled"))
    save_dir: str | None = key(None)


SECTIONS: dict[str, type] = {
    "step_scheduler": StepScheduler,
    "dist_env": DistEnv,
    "distributed": Distributed,
    "distributed_config": DistributedConfig,
    "rng": Rng,
    "model": Model,
    "checkpoint": Checkpoint,
    "dataset": Dataset,
    "validation_dataset": Dataset,
    "packed_sequence": PackedSequence,
    "dataloader": DataLoader,
    "validation_dataloader": ValidationDataLoader,
    "loss_fn": LossFn,
    "optimizer": Optimizer,
    "lr_scheduler": LrScheduler,
    "clip_grad_norm": ClipGradNorm,
    "logging": Logging,
    "wandb": Wandb,
}
