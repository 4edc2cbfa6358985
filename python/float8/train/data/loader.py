"""From packed rows to batches, in an order that a checkpoint can hold."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import islice
from typing import Any

import torch
from torch.utils.data import Sampler

from float8.train.config.sections import Dataset
from float8.train.config.settings import Settings
from float8.train.data.pack_cache import cached_rows
from float8.train.data.packing import IGNORED, Batch, Documents, PackedRows, cut, lay_out
from float8.train.data.sources import find_source
from float8.train.data.text import Texts, read_texts
from float8.train.data.tokenizer import BYTES, Tokenizer, check_vocabulary, load_tokenizer
from float8.train.model import longest_row, read_model_config
from float8.train.processes.ranks import Ranks

_TEXTS_AT_A_TIME = 4096


class EpochSampler(Sampler[int]):
    """One rank's share of an endless row of epochs, each all rows in an order of its own.

    The order is made from (seed, epoch) alone and handed out batch by batch over the ranks. So the
    local batches, whose tokens share FP8's scales, hold the same rows whatever the number of ranks
    is, and the place to go on from is one number: how many rows all ranks have taken together.

    Args:
        rows: how many rows there are.
        seed: of the shuffle.
        shuffle: false: always 0, 1, 2, ...
        rank, world: this process takes every `world`-th batch, beginning with `rank`.
        batch: rows in a local batch.
        first: how many rows were taken before; a multiple of batch * world.
    """

    def __init__(
        self,
        rows: int,
        seed: int,
        shuffle: bool,
        rank: int = 0,
        world: int = 1,
        batch: int = 1,
        first: int = 0,
    ) -> None:
        self.rows, self.seed, self.shuffle = rows, seed, shuffle
        self.rank, self.world, self.batch, self.first = rank, world, batch, first

    def __iter__(self) -> Iterator[int]:
        made, order = -1, torch.arange(self.rows)
        for taken in itertools.count():
            round_, in_batch = divmod(taken, self.batch)
            position = self.first + (round_ * self.world + self.rank) * self.batch + in_batch
            epoch, place = divmod(position, self.rows)
            if self.shuffle and epoch != made:
                # Distinct for each (seed, epoch), whatever they are: no epoch repeats another's.
                generator = torch.Generator().manual_seed((self.seed << 20) + epoch)
                made, order = epoch, torch.randperm(self.rows, generator=generator)
            yield int(order[place])


def load_rows(settings: Settings, name: str) -> PackedRows:
    """Reads the section `name` ("dataset" or "validation_dataset") and lays it out in rows.

    With a tokenizer of transformers the rows are kept on disk and mapped (pack_cache.py): call it
    in one process first, then in the others. Bytes are made again, which takes no longer.

    Raises:
        float8.ConfigError: no such data, malformed rows, too little of it for one local batch, or
            a tokenizer that cannot be had or does not fit the model.
    """
    document, dataset = settings.document, getattr(settings, name)
    tokenizer = load_tokenizer(settings)
    config = read_model_config(settings)
    check_vocabulary(settings, tokenizer, getattr(config, "vocab_size", None))
    source = find_source(document, name, dataset)
    packing, collate = settings.packed_sequence, settings.dataloader.collate_fn
    if name == "validation_dataset":
        collate = settings.validation_dataloader.collate_fn
    length = packing.packed_sequence_size
    longest = longest_row(settings, config, name)

    def make() -> PackedRows:
        texts = read_texts(document, name, dataset, source)
        return _make_rows(settings, texts, tokenizer, length, longest)

    if tokenizer.name == BYTES:
        rows = make()
    else:
        kept = ("_target_", "num_samples_limit", "max_malformed_rows")
        about = {key: getattr(dataset, key) for key in kept}
        about |= {"source": source.fingerprint, "tokenizer": tokenizer.fingerprint}
        about |= {"packing": asdict(packing), "longest": longest}
        rows = cached_rows(about, make)
    rows = replace(
        rows,
        width=rows.longest if _pad_to_longest(dataset) else length,
        divisible=collate.pad_seq_len_divisible or 1,
        summary=f"{name}: {rows.summary}",
    )
    batch = settings.step_scheduler.local_batch_size
    if len(rows) < batch:
        of = f" of {length} tokens (local_batch_size, packed_sequence_size)" if length else ""
        raise document.error(name, f"text for {batch} rows{of}", f"{len(rows)} rows")
    return rows


def _pad_to_longest(dataset: Dataset) -> bool:
    """One width for all batches: the reference's default for HellaSwag; no other has one."""
    if dataset.pad_to_max_length is not None:
        return dataset.pad_to_max_length
    return dataset._target_ is not None


def _make_rows(
    settings: Settings, texts: Texts, tokenizer: Tokenizer, length: int, longest: int
) -> PackedRows:
    packing = settings.packed_sequence
    # A prompt belongs beside its completion; a text goes on in the next row.
    across = packing.split_across_pack
    split = bool(length) and (not texts.prompted if across is None else across)
    documents, tokens, shortened, left_out = encode_all(
        tokenizer, texts, 0 if split else longest, packing.drop_long_samples
    )
    rows = lay_out(documents, length, split)
    targets = int((rows.labels != IGNORED).sum())
    said = [f"{texts.count:,} documents, {tokens:,} tokens, in {len(rows):,} rows"]
    said.append(f"{targets:,} targets")
    if shortened:
        said.append(f"{shortened:,} documents cut to {longest} tokens")
    if left_out:
        said.append(f"{left_out:,} left out (too long, or nothing to learn in {longest} tokens)")
    if texts.malformed:
        more = ", ..." if texts.malformed > len(texts.named) else ""
        said.append(f"{texts.malformed:,} malformed rows left out: {', '.join(texts.named)}{more}")
    return replace(rows, summary="; ".join(said))


def encode_all(
    tokenizer: Tokenizer, texts: Texts, longest: int, drop: bool
) -> tuple[Documents, int, int, int]:
    """Tokenizes and cuts in batches: neither the texts nor what is made on the way are ever all
    in memory.

    Returns:
        The documents; of how many tokens they were made; how many were cut, and left out.
    """
    parts, tokens, cut_short, left_out = [], 0, 0, 0
    pairs = texts.pairs()
    while some := list(islice(pairs, _TEXTS_AT_A_TIME)):
        encoded = tokenizer.encode(some, texts.ends)
        part, *counts = cut(encoded, longest, drop)
        parts.append(part)
        tokens += encoded.tokens.numel()
        cut_short, left_out = cut_short + counts[0], left_out + counts[1]
    joined = Documents(
        torch.cat([part.tokens for part in parts]),
        torch.cat([part.lengths for part in parts]),
        torch.cat([part.prompts for part in parts]),
    )
    return joined, tokens, cut_short, left_out


def make_loader(settings: Settings, rows: PackedRows, ranks: Ranks, steps: int) -> Any:
    """The endless StatefulDataLoader over this rank's training rows, after so many steps."""
    from torchdata.stateful_dataloader import (  # type: ignore[import-untyped]
        StatefulDataLoader,
    )

    scheduler = settings.step_scheduler
    sampler = EpochSampler(
        len(rows),
        settings.rng.seed,
        settings.dataloader.shuffle,
        ranks.rank,
        ranks.world,
        scheduler.local_batch_size,
        steps * scheduler.global_batch_size,
    )
    with warnings.catch_warnings():
        # Between torchdata and torch 2.15, in every process; there is nothing that a user could do.
        warnings.filterwarnings("ignore", message="'set_vital' is deprecated")
        return StatefulDataLoader(
            rows, batch_size=scheduler.local_batch_size, sampler=sampler, collate_fn=rows.collate
        )


def validation_batches(settings: Settings, rows: PackedRows, ranks: Ranks) -> Iterator[Batch]:
    """This rank's validation rows in order.

    Every rank gets as many batches, since each of them gathers the weights of all: one that has no
    rows left gets a row without a target.
    """
    size = settings.step_scheduler.local_batch_size
    for first in range(ranks.rank * size, len(rows) + ranks.rank * size, size * ranks.world):
        mine = range(first, min(len(rows), first + size))
        batch = rows.collate([rows[index] for index in mine or (0,)])
        if not mine:
            batch["labels"] = torch.full_like(batch["labels"], IGNORED)
        yield batch
