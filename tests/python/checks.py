"""How tests compare, and a way to see memory that nobody wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

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


class CallCounter(TorchDispatchMode):
    """Counts the operators that run while it is on, by name: counts["float8::scaled_mm"]."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if func is torch.ops.float8.linear.default:  # in inference mode nothing takes it apart
            with self:
                return func.decompose(*args, **(kwargs or {}))
        self.counts[func.name().split(".")[0]] += 1
        return func(*args, **(kwargs or {}))
