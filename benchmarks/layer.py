"""A converted layer's forward and backward pass in emulation, on the CPU.

Against the three float32 products that it stands for, alone, and against torchao's emulation;
random gradients, no bias. Goals: at most 1.2 times the products, at least 1.4 times as fast as
torchao.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from harness import Results, alternate
from torch import nn
from torchao.float8 import Float8LinearConfig as TorchaoConfig
from torchao.float8.float8_linear import Float8Linear as TorchaoLinear

import float8

SHAPES = ((2048, 1024, 1024), (1024, 1024, 4096), (256, 4096, 1024))  # M, K, N
RECIPES = ("tensorwise", "rowwise", "rowwise_with_gw_hp")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
GOALS = {"gemms": 1.2, "torchao": 1.4}
WORST_SQNR_LOSS = 0.05  # dB below torchao's, on the same inputs


def layers(linear: nn.Linear, recipe: str) -> tuple[float8.Float8Linear, TorchaoLinear]:
    """Ours and torchao's, with the parameters of `linear`."""
    ours = float8.Float8LinearConfig.from_recipe_name(recipe)
    theirs = TorchaoConfig.from_recipe_name(recipe)
    for config in (ours, theirs):
        object.__setattr__(config, "emulate", True)
    return (
        float8.Float8Linear.from_float(linear, ours),
        TorchaoLinear.from_float(linear, theirs),
    )


def passes(
    layer: nn.Module, x: torch.Tensor, gradient: torch.Tensor
) -> Callable[[], tuple[torch.Tensor, ...]]:
    """Forward and backward: the output and the two gradients."""

    def run() -> tuple[torch.Tensor, ...]:
        output = layer(x)
        return output.detach(), *torch.autograd.grad(output, (x, layer.weight), gradient)

    return run


def products(
    x: torch.Tensor, weight: torch.Tensor, gradient: torch.Tensor
) -> Callable[[], tuple[torch.Tensor, ...]]:
    """The three products in float32, and nothing else."""
    x, weight, gradient = (t.detach().float() for t in (x, weight, gradient))
    return lambda: (x @ weight.t(), gradient @ weight, gradient.t() @ x)


def sqnr(values: torch.Tensor, reference: torch.Tensor) -> float:
    """Signal to quantization noise in dB."""
    noise = (values.double() - reference.double()).norm()
    return float(20 * torch.log10(reference.double().norm() / noise))


def check(candidates: dict[str, Callable[[], tuple[torch.Tensor, ...]]]) -> list[float]:
    """Each result of ours is as near to the exact products as torchao's; returns ours in dB."""
    exact = candidates["gemms"]()
    ours = [sqnr(a, b) for a, b in zip(candidates["float8"](), exact, strict=True)]
    theirs = [sqnr(a, b) for a, b in zip(candidates["torchao"](), exact, strict=True)]
    if any(a < b - WORST_SQNR_LOSS or a < 15 for a, b in zip(ours, theirs, strict=True)):
        raise SystemExit(f"wrong results, not timed: SQNR {ours} dB, torchao {theirs} dB")
    return [round(value, 2) for value in ours]


def main() -> None:
    """Runs every shape, recipe and dtype."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    results = Results("layer")
    torch.manual_seed(0)
    for m, k, n in SHAPES:
        for name, dtype in DTYPES.items():
            linear = nn.Linear(k, n, bias=False, dtype=dtype)
            x = torch.randn(m, k, dtype=dtype, requires_grad=True)
            gradient = torch.randn(m, n, dtype=dtype)
            for recipe in RECIPES:
                ours, theirs = layers(linear, recipe)
                candidates = {
                    "float8": passes(ours, x, gradient),
                    "gemms": products(x, linear.weight, gradient),
                    "torchao": passes(theirs, x, gradient),
                }
                decibels = check(candidates)
                times = alternate(candidates, arguments.rounds)
                gemms, torchao = times.ratio("float8", "gemms"), times.ratio("torchao", "float8")
                results.add(
                    f"linear {recipe:18} {name} | m={m:5} n={n:5} k={k:5} | "
                    f"{times['float8'].median * 1e3:6.1f} ms | {gemms.median:4.2f}x gemms | "
                    f"{torchao.median:4.1f}x torchao",
                    {"recipe": recipe, "dtype": name, "m": m, "n": n, "k": k},
                    seconds=times.as_dict(),
                    of_gemms=gemms.as_dict(),
                    speedup_over_torchao=torchao.as_dict(),
                    sqnr_db=decibels,
                    goals=GOALS,
                )


if __name__ == "__main__":
    main()
