"""From packed rows to batches, in an order that a checkpoint can hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import Sampler

from float8.train.packing import PackedRows, pack
from float8.train.sections import Dataset
from float8.train.settings import Settings
from float8.train.text import read_documents

Batch = dict[str, torch.Tensor]


class EpochSampler(Sampler[int]):
    """The order of the rows, made from (seed, epoch) alone, so that its state is two numbers.

    Args:
        rows: how many rows there are.
        seed: of the shuffle.
        shuffle: false: always 0, 1, 2, ...
        rank, world: this process's share is every `world`-th row, beginning with `rank`.
    """

    def __init__(self, rows: int, seed: int, shuffle: bool, rank: int = 0, world: int = 1) -> None:
        self.rows, self.seed, self.shuffle = rows, seed, shuffle
        self.rank, self.world = rank, world
        self.epoch = 0
        self._next = 0

    def __len__(self) -> int:
        return self.rows // self.world

    def __iter__(self) -> Iterator[int]:
        if self.shuffle:
            # Distinct for each (seed, epoch), whatever they are: no epoch repeats another's order.
            generator = torch.Generator().manual_seed((self.seed << 20) + self.epoch)
            order = torch.randperm(self.rows, generator=generator)
        else:
            order = torch.arange(self.rows)
        mine = order[self.rank :: self.world][: len(self)].tolist()
        first, self._next = self._next, 0
        for position in range(first, len(mine)):
            self._next = position + 1
            yield mine[position]
        self.epoch += 1
        self._next = 0

    def state_dict(self) -> dict[str, Any]:
        """The epoch and how much of it was handed out."""
        return {"epoch": self.epoch, "next": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a state that `state_dict` returned."""
        self.epoch, self._next = state["epoch"], state["next"]


def load_rows(settings: Settings, name: str) -> PackedRows:
    """Reads and packs the section `name` ("dataset" or "validation_dataset").

    Raises:
        float8.ConfigError: no such text, or too little of it for one local batch.
    """
    dataset: Dataset = getattr(settings, name)
    length = settings.packed_sequence.packed_sequence_size
    rows = pack(read_documents(settings.document, name, dataset), length)
    batch = settings.step_scheduler.local_batch_size
    if len(rows) < batch:
        raise settings.document.error(
            name,
            f"text for {batch} rows of {length} tokens (local_batch_size, packed_sequence_size)",
            f"{len(rows)} rows",
        )
    return rows


def make_loader(settings: Settings, rows: PackedRows) -> Any:
    """The StatefulDataLoader over the training rows; a last batch that is not full is dropped."""
    from torchdata.stateful_dataloader import (  # type: ignore[import-untyped]
        StatefulDataLoader,
    )

    sampler = EpochSampler(len(rows), settings.rng.seed, settings.dataloader.shuffle)
    batch_size = settings.step_scheduler.local_batch_size
    return StatefulDataLoader(rows, batch_size=batch_size, sampler=sampler, drop_last=True)


def endless(loader: Any) -> Iterator[Batch]:
    """Batch after batch, epoch after epoch."""
    while True:
        yield from loader


def validation_batches(settings: Settings, rows: PackedRows) -> Iterator[Batch]:
    """All validation rows in order, the last batch as long as what is left."""
    size = settings.step_scheduler.local_batch_size
    for first in range(0, len(rows), size):
        last = slice(first, first + size)
        yield {
            "input_ids": rows.input_ids[last],
            "position_ids": rows.position_ids[last],
            "labels": rows.labels[last],
        }
