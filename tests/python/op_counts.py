"""Counts operators, also those that C++ calls."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def counted_ops() -> Iterator[collections.Counter[str]]:
    """Yields a counter that holds the calls of each operator after the block.

    The profiler and not a dispatch mode: layers keep no copies while a mode watches them.
    """
    counts: collections.Counter[str] = collections.Counter()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        yield counts
    counts.update(event.name for event in profile.events())


def quantizations(counts: collections.Counter[str]) -> int:
    """How many tensors were quantized, whether to one copy or to two."""
    return counts["float8::quantize"] + counts["float8::quantize_pair"]
