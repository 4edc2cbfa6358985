"""Which of how many processes this one is, and what they tell each other."""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

from float8.train.config.validate import describe
from float8.train.processes.slurm import slurm_variables

if TYPE_CHECKING:
    from float8.train.config.settings import Settings

# How long ranks wait for one of them that downloads, tokenizes, makes or writes a whole model.
# `dist_env.timeout_minutes` is of the steps, in which all of them do the same.
_PATIENCE = timedelta(days=1)


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together; the default is a process of its own.

    Attributes:
        rank: 0 .. world - 1. Rank 0 prints, and decides what must be decided once.
        world: how many processes train together.
        local_rank: the index on this machine, which chooses the GPU.
        background: the processes again, for what a thread says while the step goes on (two users
            of one group would mix up their messages), and for waits that may take long.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    background: Any = None

    @property
    def main(self) -> bool:
        """Whether this is the process that prints and decides."""
        return self.rank == 0

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Adds up `values` over all ranks, in place."""
        if self.world > 1:
            distributed.all_reduce(values)
        return values

    def agree(self, value: Any = None) -> Any:
        """Rank 0's `value`, on every rank. Also the point where ranks wait for rank 0."""
        if self.world == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0, group=self.background)
        return box[0]

    def gather(self, value: Any) -> list[Any]:
        """The `value` of each rank, on every rank."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        distributed.all_gather_object(values, value, group=self.background)
        return values


def world_size(environment: MutableMapping[str, str] = os.environ) -> int:
    """How many processes the environment says there are, torchrun's words before Slurm's."""
    if "RANK" not in environment:
        environment.update(slurm_variables(environment))
    return int(environment.get("WORLD_SIZE", "1"))


def check_layout(settings: Settings, world: int) -> None:
    """Raises ConfigError where the layout or the batches do not go with `world` processes."""
    document, layout = settings.document, settings.distributed
    replicas = layout.dp_replicate_size or 1
    if layout.dp_size not in (None, world):
        raise document.error(
            "distributed.dp_size", f"none, or the number of processes ({world})",
            describe(layout.dp_size),
        )  # fmt: skip
    if world % replicas:
        raise document.error(
            "distributed.dp_replicate_size", f"a divisor of the number of processes ({world})",
            describe(replicas),
        )  # fmt: skip
    scheduler = settings.step_scheduler
    if scheduler.global_batch_size % (scheduler.local_batch_size * world):
        raise document.error(
            "step_scheduler.global_batch_size",
            f"a multiple of local_batch_size ({scheduler.local_batch_size}) times the number of "
            f"processes ({world})",
            describe(scheduler.global_batch_size),
        )


def check_world(settings: Settings, world: int) -> None:
    """Raises ConfigError where this machine cannot run `world` processes as the settings say."""
    check_layout(settings, world)
    if settings.dist_env.backend == "nccl" and world > 1 and not torch.cuda.is_available():
        raise settings.document.error(
            "dist_env.backend", "gloo (or null) where there is no GPU", "`nccl`", ()
        )


@contextmanager
def process_group(settings: Settings) -> Iterator[Ranks]:
    """Joins the other processes, if there are any, and leaves them at the end.

    Raises:
        float8.ConfigError: see `check_world`.
    """
    world = world_size()
    check_world(settings, world)
    if world == 1:
        yield Ranks()
        return
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    options: dict[str, Any] = {}
    if settings.dist_env.timeout_minutes is not None:
        options["timeout"] = timedelta(minutes=settings.dist_env.timeout_minutes)
    backend = settings.dist_env.backend or ("nccl" if torch.cuda.is_available() else "gloo")
    if backend == "nccl":
        torch.cuda.set_device(local_rank)
    distributed.init_process_group(backend, **options)
    background = distributed.new_group(backend="gloo", timeout=_PATIENCE)
    yield Ranks(distributed.get_rank(), world, local_rank, background)
    # Not after an error: the others may be gone, and then this would wait for them.
    distributed.destroy_process_group()
