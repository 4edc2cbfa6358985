"""What the runs of one command share, and what may not change between a run and its resumption."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from float8.train.config.settings import Settings, as_plain
from float8.train.console import View
from float8.train.data.packing import PackedRows
from float8.train.interrupt import StopRequest
from float8.train.processes.ranks import Ranks


@dataclass
class Job:
    """What the runs of one command share."""

    settings: Settings
    device: torch.device
    rows: PackedRows
    validation_rows: PackedRows | None
    view: View
    stop: StopRequest
    ranks: Ranks = field(default_factory=Ranks)
    skip_nan: bool = False
    total_steps: int = field(init=False)

    def __post_init__(self) -> None:
        self.total_steps = count_steps(self.settings, len(self.rows))


def count_steps(settings: Settings, rows: int) -> int:
    """How many optimizer steps `max_steps` and `num_epochs` (the smaller) come to."""
    scheduler = settings.step_scheduler
    limits = [] if scheduler.max_steps is None else [scheduler.max_steps]
    if scheduler.num_epochs is not None:
        limits.append(scheduler.num_epochs * rows // scheduler.global_batch_size)
    if min(limits) < 1:
        raise settings.document.error(
            "step_scheduler.num_epochs", "enough epochs for one global batch", f"{rows} rows"
        )
    return min(limits)


# These may differ on --resume: they change how long a run goes on and what it writes.
_FREE = (
    *("checkpoint", "validation_dataset", "validation_dataloader", "dist_env"),
    *("distributed", "distributed_config", "logging", "wandb"),
)
_FREE_STEPS = ("max_steps", "num_epochs", "ckpt_every_steps", "val_every_steps")


def check_same_settings(checkpoint: Path, before: dict[str, Any], settings: Settings) -> None:
    """Raises ConfigError about the first key that makes this another run than the checkpoint's."""
    # A checkpoint's are JSON, in which a tuple is a list.
    for section, now in json.loads(json.dumps(as_plain(settings))).items():
        then = before.get(section)
        if section in _FREE or now == then:
            continue
        now_map, then_map = now or {}, then or {}
        for name in {**then_map, **now_map}:
            free = section == "step_scheduler" and name in _FREE_STEPS
            if not free and now_map.get(name) != then_map.get(name):
                raise settings.document.error(
                    f"{section}.{name}",
                    f"{then_map.get(name)}, with which {checkpoint} was made",
                    f"{now_map.get(name)}",
                )
