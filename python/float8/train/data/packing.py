"""Documents laid out in rows, packed or one a row, without leaking into each other.

A row's position ids restart with each document in it, which is how transformers' attention tells
them apart (no attention mask, no cache). Padding is one more document of its own: nothing sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

IGNORED = -100  # the label that cross entropy leaves out
_AT_A_TIME = 4096  # documents

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Documents:
    """Tokenized documents, one after the other.

    Attributes:
        tokens: all tokens, int32.
        lengths: how many belong to each document, int64.
        prompts: how many of a document's first tokens are no targets, int64.
    """

    tokens: torch.Tensor
    lengths: torch.Tensor
    prompts: torch.Tensor


@dataclass(frozen=True)
class PackedRows:
    """The rows of a data set, one after the other in tensors that may be mapped from a file.

    Attributes:
        input_ids, position_ids: int32 of shape [tokens of all rows].
        labels: the token that each position must predict, already shifted; IGNORED where it must
            not: in a prompt, and where the next token belongs to another document or row.
        starts: where each row begins, and the end of the last; int64 of shape [rows + 1].
        width: every batch is at least that wide.
        divisible: every batch's width is a multiple of that.
        summary: what was read and what became of it, in words.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    labels: torch.Tensor
    starts: torch.Tensor
    width: int = 0
    divisible: int = 1
    summary: str = ""

    def __len__(self) -> int:
        return self.starts.numel() - 1

    def __getitem__(self, index: int) -> Batch:
        """One row without padding: views, int32."""
        row = slice(*self.starts[index : index + 2].tolist())
        return {
            "input_ids": self.input_ids[row],
            "position_ids": self.position_ids[row],
            "labels": self.labels[row],
        }

    @property
    def longest(self) -> int:
        """Tokens in the widest batch that there can be."""
        sizes = self.starts.diff()
        return self._padded(int(sizes.max()) if sizes.numel() else 0)

    def collate(self, rows: Sequence[Batch]) -> Batch:
        """Rows as one batch of shape [rows, width], int64; padding has no targets."""
        sizes = [row["input_ids"].numel() for row in rows]
        width = self._padded(max(sizes))
        if min(sizes) == width:
            return {name: torch.stack([row[name] for row in rows]).long() for name in rows[0]}
        batch = {
            "input_ids": torch.zeros(len(rows), width, dtype=torch.int64),
            "position_ids": torch.arange(width).repeat(len(rows), 1),
            "labels": torch.full((len(rows), width), IGNORED),
        }
        for index, (row, size) in enumerate(zip(rows, sizes, strict=True)):
            for name, values in row.items():
                batch[name][index, :size] = values
            batch["position_ids"][index, size:] -= size  # from 0 again: another document
        return batch

    def _padded(self, size: int) -> int:
        width = max(size, self.width)
        return -(-width // self.divisible) * self.divisible


def lay_out(documents: Documents, length: int, split: bool) -> PackedRows:
    """Lays documents out in rows.

    Args:
        documents: each of at most `length` tokens unless `split` (`cut` makes them so).
        length: tokens per row; 0: each document is a row of its own.
        split: a document that does not fit into the rest of a row goes on in the next one, as a
            document of its own, and the last row is dropped unless full. Otherwise it begins in
            the next row, and rows are padded.
    """
    if length == 0:
        pieces = _one_per_row(documents)
    else:
        pieces = _continue(documents, length) if split else _next_fit(documents, length)
    source, sizes, targets, prompts, starts = pieces
    total = int(starts[-1])
    input_ids = torch.zeros(total, dtype=torch.int32)
    position_ids = torch.zeros(total, dtype=torch.int32)
    labels = torch.full((total,), IGNORED, dtype=torch.int32)
    padding = torch.cat([targets[1:], starts[-1:]])[: len(sizes)] - targets - sizes
    # A few at a time: each token's place takes several times the memory of the token.
    for first in range(0, len(sizes), _AT_A_TIME):
        some = slice(first, first + _AT_A_TIME)
        piece, within = _spread(sizes[some])
        goes_to = within + targets[some][piece]
        tokens = documents.tokens[within + source[some][piece]]
        input_ids[goes_to] = tokens
        position_ids[goes_to] = within.int()
        is_target = within >= prompts[some].clamp(min=1)[piece]
        labels[goes_to[is_target] - 1] = tokens[is_target]
        piece, within = _spread(padding[some])
        position_ids[within + (targets + sizes)[some][piece]] = within.int()
    return PackedRows(input_ids, position_ids, labels, starts, length)


def _spread(sizes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """For each token of pieces of these sizes: which piece it is in, and its place there."""
    piece = torch.arange(len(sizes)).repeat_interleave(sizes)
    first = sizes.cumsum(0) - sizes
    return piece, torch.arange(len(piece)) - first[piece]


# The layouts: for each piece of a document where it comes from, its size, where it goes to, how
# much of it is prompt; and where the rows start.
_Pieces = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def _one_per_row(documents: Documents) -> _Pieces:
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), documents.lengths.cumsum(0)])
    return starts[:-1], documents.lengths, starts[:-1], documents.prompts, starts


def _continue(documents: Documents, length: int) -> _Pieces:
    ends = documents.lengths.cumsum(0)
    total = documents.tokens.numel() // length * length
    starts = torch.arange(0, total + 1, length)
    document_starts = ends - documents.lengths
    cuts = torch.unique(torch.cat([document_starts[document_starts < total], starts]))
    begins, sizes = cuts[:-1], cuts.diff()
    owner = torch.searchsorted(ends, begins, right=True)
    prompts = documents.prompts[owner] - (begins - document_starts[owner])
    return begins, sizes, begins, prompts.clamp(min=0), starts


def _next_fit(documents: Documents, length: int) -> _Pieces:
    places, row, used = [], 0, 0
    for size in documents.lengths.tolist():
        if used + size > length:
            row, used = row + 1, 0
        places.append(row * length + used)
        used += size
    rows = row + 1 if places else 0
    targets = torch.tensor(places, dtype=torch.int64)
    source = documents.lengths.cumsum(0) - documents.lengths
    return source, documents.lengths, targets, documents.prompts, torch.arange(rows + 1) * length


def cut(documents: Documents, length: int, drop: bool) -> tuple[Documents, int, int]:
    """Makes documents fit into `length` tokens and leaves out those without any target.

    Args:
        documents: of any length.
        length: the most tokens that one may have; 0: any number.
        drop: leave a longer one out instead of cutting its end off.

    Returns:
        What is left, how many were cut, and how many were left out.
    """
    sizes = documents.lengths.clamp(max=length) if length else documents.lengths
    too_long = documents.lengths > sizes
    kept = sizes > documents.prompts.clamp(min=1)
    if drop:
        kept &= ~too_long
    document, within = _spread(documents.lengths)
    stays = within < torch.where(kept, sizes, 0)[document]
    left = Documents(documents.tokens[stays], sizes[kept], documents.prompts[kept])
    return left, int((too_long & kept).sum()), int((~kept).sum())
