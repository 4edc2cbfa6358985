"""How tests compare, and a way to see memory that nobody wrote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

import float8  # noqa: F401  registers the operators

ops = torch.ops.float8


def assert_same(actual: Tensor, expected: Tensor) -> None:
    """Same dtype, shape and values; a NaN equals a NaN."""
    torch.testing.assert_close(actual, expected, rtol=0, atol=0, equal_nan=True)


def assert_codes(data: Tensor, codes: Tensor) -> None:
    """FP8 data holds exactly these bytes, in rows that follow each other."""
    assert data.is_contiguous()
    assert_same(data.view(torch.uint8), codes)


@contextmanager
def poisoned_memory() -> Iterator[None]:
    """New tensors start as NaN, so that bytes which an operator forgets to write are seen."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
