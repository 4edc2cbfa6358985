"""Accuracy of a layer's output and gradients beside torchao's, and of scaled_mm for large K.

SQNR (dB) against the float64 result of unquantized operands: an FP8 layer's output, input
gradient, weight gradient and bias gradient, over recipes, dtypes, shapes and data. Ours may
be at most 0.01 dB below torchao's, in every case; where both are exact they count as equal.
scaled_mm is within 1e-3 (calc_diff) of the float64 product of its own operands, K up to 65,536.

    python benchmarks/numerics.py    # one line for each case, and results/numerics.jsonl
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from harness import Results
from torchao.float8 import Float8LinearConfig as TorchaoConfig
from torchao.float8.float8_linear import Float8Linear as TorchaoLinear

import float8

RECIPES = ("tensorwise", "rowwise", "rowwise_with_gw_hp")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SHAPES = ((512, 512, 512), (1, 256, 256), (48, 1024, 16), (200, 80, 336))  # M, K, N
RESULT_NAMES = ("output", "dX", "dW", "db")
TOLERANCE_DB = 0.01
PRODUCT_LIMIT = 1e-3
DEPTHS = (16, 128, 1024, 8192, 65536)


def outliers(rows: int, columns: int) -> torch.Tensor:
    """A few columns a hundred times as large as the rest, as in a transformer's activations."""
    x = torch.randn(rows, columns)
    x[:, :: max(2, columns // 4)] *= 100
    return x


#: What x is made of; the gradient is small as a mean loss makes it.
DATA: dict[str, Callable[[int, int], torch.Tensor]] = {
    "normal": torch.randn,
    "outlier columns": outliers,
    "heavy tails": lambda m, k: torch.randn(m, k) * torch.exp2(2 * torch.randn(m, k)),
    "rows of all sizes": lambda m, k: torch.randn(m, k) * torch.logspace(-6, 3, m)[:, None],
    "half zeros": lambda m, k: torch.randn(m, k).relu(),
    "all positive": torch.rand,
}


def sqnr(exact: torch.Tensor, other: torch.Tensor) -> float:
    """Signal to noise in dB; infinite for equal tensors."""
    noise = float((exact - other.double()).norm())
    return math.inf if noise == 0 else 20 * math.log10(float(exact.norm()) / noise)


def calc_diff(a: torch.Tensor, b: torch.Tensor) -> float:
    """1 - 2ab / (aa + bb), the measure of DeepGEMM's tests."""
    a, b = a.double(), b.double()
    return float(1 - 2 * (a * b).sum() / (a * a + b * b).sum())


def results_of(layer: torch.nn.Module, x: torch.Tensor, gradient: torch.Tensor) -> tuple[Any, ...]:
    """Output, dX, dW and db."""
    x = x.detach().requires_grad_()
    layer.zero_grad()
    output = layer(x)
    output.backward(gradient)
    return output.detach(), x.grad, layer.weight.grad, layer.bias.grad


def compare(
    recipe: str, dtype: torch.dtype, shape: tuple[int, int, int], data: str
) -> tuple[dict[str, float], dict[str, float]]:
    """Ours and torchao's SQNR by result, from the same weights, input and gradient."""
    m, k, n = shape
    torch.manual_seed(0)
    ours_config = float8.Float8LinearConfig.from_recipe_name(recipe)
    ours = float8.Float8Linear(
        k, n, dtype=dtype, config=dataclasses.replace(ours_config, emulate=True)
    )
    theirs_config = dataclasses.replace(TorchaoConfig.from_recipe_name(recipe), emulate=True)
    theirs = TorchaoLinear(k, n, dtype=dtype, config=theirs_config)
    theirs.load_state_dict(ours.state_dict())
    x = DATA[data](m, k).to(dtype)
    gradient = (torch.randn(m, n) * 1e-4).to(dtype)
    x64, g64 = x.double(), gradient.double()
    w64, b64 = ours.weight.detach().double(), ours.bias.detach().double()
    exact = (x64 @ w64.t() + b64, g64 @ w64, g64.t() @ x64, g64.sum(0))

    def decibels(layer: torch.nn.Module) -> dict[str, float]:
        values = results_of(layer, x, gradient)
        return {name: sqnr(a, b) for name, a, b in zip(RESULT_NAMES, exact, values, strict=True)}

    return decibels(ours), decibels(theirs)


def cases() -> Iterator[tuple[str, str, tuple[int, int, int], str]]:
    """Recipe, dtype's name, shape, data."""
    return itertools.product(RECIPES, DTYPES, SHAPES, DATA)


def is_worse(ours: dict[str, float], theirs: dict[str, float]) -> bool:
    """Whether one of our results is more than the tolerance below torchao's."""
    return any(ours[name] < theirs[name] - TOLERANCE_DB for name in RESULT_NAMES)


def product_error(k: int, dtype: torch.dtype, rowwise: bool) -> float:
    """calc_diff of scaled_mm [48, k] x [80, k] against float64."""
    generator = torch.Generator().manual_seed(k)
    a, b = (torch.randn(rows, k, generator=generator) for rows in (48, 80))
    ops, block = torch.ops.float8, [1, 0] if rowwise else [0, 0]
    a8, scale_a = ops.quantize(a, torch.float8_e4m3fn, block)
    b8, scale_b = ops.quantize(b, torch.float8_e4m3fn, block)
    exact = (a8.double() * scale_a) @ (b8.double() * scale_b).t()
    return calc_diff(ops.scaled_mm(a8, b8, scale_a, scale_b, out_dtype=dtype), exact)


def as_json(decibels: dict[str, float]) -> dict[str, float | None]:
    """JSON has no infinity: null is an exact result."""
    return {
        name: round(value, 3) if math.isfinite(value) else None for name, value in decibels.items()
    }


def main() -> int:
    """Every case; the exit status is the number of cases that fail."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    results, failed = Results("numerics"), 0
    for recipe, dtype, shape, data in cases():
        ours, theirs = compare(recipe, DTYPES[dtype], shape, data)
        # Equal where both are exact: the difference of infinities is none.
        differences = [0.0 if ours[n] == theirs[n] else ours[n] - theirs[n] for n in RESULT_NAMES]
        worse = is_worse(ours, theirs)
        failed += worse
        m, k, n = shape
        figures = " ".join(f"{name} {ours[name]:6.2f}" for name in RESULT_NAMES)
        results.add(
            f"{recipe:18} {dtype} {data:17} m={m:4} n={n:4} k={k:4} | {figures} dB | least "
            f"{min(differences):+.4f} above torchao{'  WORSE' if worse else ''}",
            {"recipe": recipe, "dtype": dtype, "data": data, "m": m, "n": n, "k": k},
            ours=as_json(ours),
            torchao=as_json(theirs),
            least_difference=round(min(differences), 5),
        )
    for k, dtype, rowwise in itertools.product(DEPTHS, DTYPES, (False, True)):
        error = product_error(k, DTYPES[dtype], rowwise)
        failed += not error < PRODUCT_LIMIT
        results.add(
            f"scaled_mm {'rowwise' if rowwise else 'tensorwise':10} {dtype} k={k:5} | {error:.1e}",
            {"product": "rowwise" if rowwise else "tensorwise", "dtype": dtype, "k": k},
            calc_diff=error,
        )
    return failed


if __name__ == "__main__":
    sys.exit(main())
