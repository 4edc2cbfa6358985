"""What a configuration holds in memory and sends, per rank, from shapes alone.

Weights, gradients, optimizer state and messages are arithmetic on the parameters' shapes; saved.py
counts what the forward pass keeps. Not in it: the allocator's fragments, the products' workspaces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from float8.float8_linear import Float8Linear
from float8.train.config.settings import Settings
from float8.train.optim import state_bytes
from float8.train.saved import Saved, saved_by

_REDUCE_BYTES = 4  # gradients are reduced in float32


@dataclass(frozen=True)
class Layout:
    """How many processes there are, and how many hold one copy of the model together."""

    processes: int
    nodes: int = 1
    replicas: int = 1

    @property
    def world(self) -> int:
        """All processes."""
        return self.processes * self.nodes

    @property
    def shards(self) -> int:
        """Over how many processes a parameter is cut."""
        return self.world // self.replicas


@dataclass(frozen=True)
class Parameter:
    """One parameter: its shape, the bytes of a value at rest and on the wire."""

    name: str
    shape: tuple[int, ...]
    stored: int
    sent: int

    def shard_numel(self, shards: int) -> int:
        """Values on the first rank, which has the most: FSDP2 cuts rows, rounding up."""
        rows, *rest = self.shape or (1,)
        count = -(-rows // shards)
        for size in rest:
            count *= size
        return count

    @property
    def numel(self) -> int:
        """Values of the whole parameter."""
        return self.shard_numel(1)


@dataclass(frozen=True)
class Unit:
    """What FSDP2 gathers together: a decoder block, or (the last) all that is in none."""

    name: str
    parameters: tuple[Parameter, ...]
    root: bool = False

    def held(self, shards: int) -> int:
        """Bytes of a rank's shards."""
        return sum(p.stored * p.shard_numel(shards) for p in self.parameters)

    def gathered(self, shards: int) -> int:
        """Bytes that all ranks' shards make, padding included: the size of one all-gather."""
        return sum(p.sent * p.shard_numel(shards) for p in self.parameters) * shards

    def reduced(self, shards: int) -> int:
        """Bytes of the gradients' reduce-scatter."""
        return _REDUCE_BYTES * shards * sum(p.shard_numel(shards) for p in self.parameters)


def units_of(settings: Settings, model: Any, fp8_all_gather: bool) -> list[Unit]:
    """The units of a model on meta, converted or not.

    Args:
        settings: their `model.torch_dtype` is how parameters are stored.
        model: its decoder blocks are units.
        fp8_all_gather: whether the converted layers' weights travel as FP8.
    """
    stored = _dtype(settings).itemsize
    converted = {
        id(module.weight) for module in model.modules() if isinstance(module, Float8Linear)
    }
    seen: set[int] = set()

    def parameters(module: nn.Module, prefix: str) -> Iterator[Parameter]:
        for name, parameter in module.named_parameters():
            if id(parameter) not in seen:
                seen.add(id(parameter))
                fp8 = fp8_all_gather and id(parameter) in converted
                yield Parameter(prefix + name, tuple(parameter.shape), stored, 1 if fp8 else 2)

    kinds = set(model._no_split_modules or ())
    units = [
        Unit(name, tuple(parameters(module, f"{name}.")))
        for name, module in model.named_modules()
        if type(module).__name__ in kinds
    ]
    return [*units, Unit("the rest", tuple(parameters(model, "")), root=True)]


@dataclass(frozen=True)
class Memory:
    """Bytes that the fullest rank holds in one step, by what they are for."""

    weights: int
    gradients: int
    optimizer: int
    gathered: int
    saved: Saved

    @property
    def rows(self) -> dict[str, int]:
        """Each part by its name."""
        return {
            "weights": self.weights,
            "gradients": self.gradients,
            "optimizer's state": self.optimizer,
            "gathered for the pass": self.gathered,
            "activations": self.saved.activations,
            "FP8 copies": self.saved.fp8_copies,
            "loss": self.saved.loss,
        }

    @property
    def total(self) -> int:
        """The sum."""
        return sum(self.rows.values())


def memory_of(
    settings: Settings, config: Any, units: list[Unit], layout: Layout, length: int, fp8: bool
) -> Memory:
    """The memory of one rank, with rows of `length` tokens.

    `gathered` is, for shards, the root unit (whole from the forward pass to the backward pass), two
    blocks (one computes while the next one arrives), and a block's gradients in float32 before
    they are reduced; all blocks' where that is deferred to the last microbatch.
    """
    shards = layout.shards
    weights = sum(unit.held(shards) for unit in units)
    gathered = 0
    if layout.world > 1:
        blocks = [unit for unit in units if not unit.root]
        largest = max((unit.gathered(shards) for unit in blocks), default=0)
        root = sum(unit.gathered(shards) for unit in units if unit.root)
        reduced = [unit.reduced(shards) for unit in units]
        waiting = _reductions(settings, layout) < _microbatches(settings, layout)
        gathered = root + 2 * largest + (sum(reduced) if waiting else max(reduced))
    return Memory(
        weights=weights,
        gradients=weights,
        optimizer=int(weights * state_bytes(settings.optimizer, _dtype(settings))),
        gathered=gathered,
        saved=saved_by(settings, config, length, shards > 1, fp8),
    )


@dataclass(frozen=True)
class Traffic:
    """Bytes that one rank sends in one optimizer step; it receives as many."""

    all_gather: int
    reduce_scatter: int
    all_reduce: int

    @property
    def total(self) -> int:
        """The sum."""
        return self.all_gather + self.reduce_scatter + self.all_reduce


def traffic_of(settings: Settings, units: list[Unit], layout: Layout) -> Traffic:
    """What one rank sends, by rings: a share (n - 1) / n of a message, twice for an all-reduce.

    A block is gathered in the forward and in the backward pass of each microbatch, the root unit
    in the forward pass alone. The scales' all-reduces (4 bytes a layer) are left out.
    """
    n, micro = layout.shards, _microbatches(settings, layout)
    passes = [(unit, micro if unit.root else 2 * micro) for unit in units]
    reduced = sum(unit.reduced(n) for unit in units) * _reductions(settings, layout)
    replicas = layout.replicas
    return Traffic(
        all_gather=sum(unit.gathered(n) * times for unit, times in passes) * (n - 1) // n,
        reduce_scatter=reduced * (n - 1) // n,
        all_reduce=2 * (reduced // n) * (replicas - 1) // replicas,
    )


def _microbatches(settings: Settings, layout: Layout) -> int:
    scheduler = settings.step_scheduler
    return max(1, scheduler.global_batch_size // (scheduler.local_batch_size * layout.world))


def _reductions(settings: Settings, layout: Layout) -> int:
    """How often a step sums the gradients over the ranks."""
    deferred = settings.distributed.defer_fsdp_grad_sync
    return 1 if deferred else _microbatches(settings, layout)


def _dtype(settings: Settings) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, settings.model.torch_dtype)
    return dtype
