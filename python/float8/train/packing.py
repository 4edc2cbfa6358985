"""Byte-level tokens, and documents packed into rows of one length without leaking into each other.

A row holds several documents, or pieces of them. Its position ids restart with each, which is how
transformers' attention tells them apart (no attention mask, no cache), and the first label of
each is masked: nothing before it belongs to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

END_OF_DOCUMENT = 256
VOCABULARY = 257
IGNORED = -100  # the label that cross entropy leaves out


@dataclass(frozen=True)
class PackedRows:
    """Rows of equal length, each tensor int64 of shape [rows, length].

    Attributes:
        input_ids: tokens.
        position_ids: the position of each token in its document's piece.
        labels: the token that each position must predict, already shifted; IGNORED where the next
            token belongs to another document or to another row.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return self.input_ids.shape[0]

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {
            "input_ids": self.input_ids[index],
            "position_ids": self.position_ids[index],
            "labels": self.labels[index],
        }


def encode(text: str) -> torch.Tensor:
    """The UTF-8 bytes of a text and the mark of its end, as int64 tokens."""
    data = bytearray(text.encode("utf-8", errors="surrogatepass"))
    tokens = torch.empty(len(data) + 1, dtype=torch.int64)
    if data:
        tokens[:-1] = torch.frombuffer(data, dtype=torch.uint8)
    tokens[-1] = END_OF_DOCUMENT
    return tokens


def pack(texts: Iterable[str], length: int) -> PackedRows:
    """Packs all texts, one after the other, into rows of `length` tokens.

    A document that does not fit into the rest of a row goes on in the next one, as a piece of its
    own. What is left at the end and fills no row is dropped.
    """
    documents = [encode(text) for text in texts if text]
    tokens = torch.cat(documents) if documents else torch.empty(0, dtype=torch.int64)
    rows = tokens.numel() // length
    tokens = tokens[: rows * length].view(rows, length)

    starts = torch.zeros(rows * length, dtype=torch.bool)
    ends = torch.tensor([document.numel() for document in documents], dtype=torch.int64).cumsum(0)
    starts[ends[ends < rows * length]] = True
    starts = starts.view(rows, length)
    starts[:, :1] = True

    index = torch.arange(length).expand(rows, length)
    last_start = torch.where(starts, index, torch.zeros_like(index)).cummax(dim=1).values
    labels = torch.full_like(tokens, IGNORED)
    labels[:, :-1] = torch.where(starts[:, 1:], IGNORED, tokens[:, 1:])
    return PackedRows(tokens, index - last_start, labels)
