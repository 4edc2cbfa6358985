"""Quantization on one core: bytes that must move per second, beside memcpy's.

The bytes that must move are counted as if caches held a row, and not a matrix: x is read once where
the scale of a row is enough to cast it, twice where a scale needs the whole matrix or whole
columns; each FP8 copy is written once. memcpy reads and writes x's bytes, in the same run, in turn.
Seconds are the thread's own.
Memory is kept between calls: a page that the kernel hands out for the first time costs more than
all that is measured here, and memcpy's target is an old one too.
Goal: at least half of memcpy's bandwidth.
"""

from __future__ import annotations

import argparse
import ctypes
import time
from collections.abc import Callable
from functools import partial

import torch
from harness import Results, Spread, Timings, alternate

import float8  # noqa: F401  (registers the operators)

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
FORMAT = torch.float8_e4m3fn
BLOCKS = {"tensorwise": [0, 0], "rowwise": [1, 0]}
GOALS = {"of_memcpy": 0.5}


def memcpy(source: torch.Tensor) -> Callable[[], object]:
    """The C library's, from `source` to a buffer of its size."""
    target = torch.zeros_like(source)
    size = source.numel() * source.element_size()

    def run() -> object:
        ctypes.memmove(target.data_ptr(), source.data_ptr(), size)
        return target  # keeps the buffer

    return run


def quantizers(x: torch.Tensor) -> dict[tuple[str, str], tuple[Callable[[], object], int]]:
    """For each recipe and layout: what to run, and how many bytes that must move."""
    ops = torch.ops.float8
    read, written = x.numel() * x.element_size(), x.numel()
    subjects: dict[tuple[str, str], tuple[Callable[[], object], int]] = {}
    for recipe, block in BLOCKS.items():
        power_of_two = recipe == "rowwise"
        once = recipe == "rowwise"
        straight = partial(ops.quantize.default, x, FORMAT, block, power_of_two)
        transposed = partial(ops.quantize.default, x, FORMAT, block, power_of_two, True)
        both = partial(ops.quantize_pair.default, x, FORMAT, block, block, power_of_two)
        subjects[recipe, "straight"] = (straight, (1 if once else 2) * read + written)
        subjects[recipe, "transposed"] = (transposed, 2 * read + written)
        subjects[recipe, "both"] = (both, 2 * read + 2 * written)
    return subjects


def check(x: torch.Tensor) -> None:
    """The codes are torch's own cast of the scaled values; the pair equals the single calls."""
    ops = torch.ops.float8
    for block in BLOCKS.values():
        data, scale_inv = ops.quantize(x, FORMAT, block)
        amax = x.abs().amax() if block == [0, 0] else x.abs().amax(1, keepdim=True)
        scale = (448.0 / amax.double().clamp(min=1e-12)).float()
        expected = (x.float() * scale).clamp(-448, 448).to(FORMAT)
        pair = ops.quantize_pair(x, FORMAT, block, block)
        same = torch.equal(data.view(torch.uint8), expected.view(torch.uint8))
        same &= torch.equal(data.view(torch.uint8), pair[0].view(torch.uint8))
        if not same or not torch.equal(scale_inv.flatten(), scale.reciprocal().flatten()):
            raise SystemExit(f"wrong codes, not timed: {x.dtype}, block {block}")


def keep_memory() -> None:
    """Tells the C library (glibc) to reuse what was freed instead of returning it."""
    mmap_threshold, trim_threshold, most = -3, -1, 2**30  # malloc.h
    libc = ctypes.CDLL(None)
    if not (libc.mallopt(mmap_threshold, most) and libc.mallopt(trim_threshold, most)):
        raise SystemExit("mallopt failed: the C library is not glibc")


def share(times: Timings, moved: int, copied: int) -> Spread:
    """Bandwidth as a share of memcpy's, pair by pair."""
    ratio = times.ratio("memcpy", "quantize")
    return Spread(*(value * moved / copied for value in (ratio.median, ratio.p25, ratio.p75)))


def main() -> None:
    """Runs every dtype, recipe and layout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--columns", type=int, default=4096)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_memory()
    results = Results("casts")
    torch.manual_seed(0)
    m, k = arguments.rows, arguments.columns
    for name, dtype in DTYPES.items():
        x = torch.randn(m, k, dtype=dtype)
        check(x[:256])
        copied = 2 * x.numel() * x.element_size()
        for (recipe, layout), (run, moved) in quantizers(x).items():
            candidates = {"quantize": run, "memcpy": memcpy(x)}
            times = alternate(candidates, arguments.rounds, warmup=2, clock=time.thread_time)
            of_memcpy = share(times, moved, copied)
            seconds = times["quantize"].median
            results.add(
                f"quantize {recipe:10} {name} {layout:10} | m={m:5} k={k:5} | "
                f"{seconds * 1e3:6.2f} ms | {moved / seconds / 1e9:5.1f} GB/s | "
                f"{of_memcpy.median:4.2f}x memcpy",
                {"recipe": recipe, "dtype": name, "layout": layout, "m": m, "k": k},
                seconds=times.as_dict(),
                bytes=moved,
                memcpy_bytes=copied,
                of_memcpy=of_memcpy.as_dict(),
                goals=GOALS,
            )


if __name__ == "__main__":
    main()
