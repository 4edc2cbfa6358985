"""A compiled forward and backward pass against the eager one, on the CPU, on one thread.

A layer alone, layers behind a producer into which Inductor can fuse an amax, two blocks; in FP8,
and with nn.Linear for what torch.compile itself costs a call. Seconds are the thread's own.
Goal: at most the eager time; for a layer alone at most what a compiled nn.Linear loses.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

# Cached code would have been made for another number of threads.
os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"

import torch
from harness import Results, alternate
from torch import nn
from torch.nn import functional

import float8

WIDTH, INNER, HEADS = 1024, 2048, 8
GOAL = 1.0


class Norm(nn.Module):
    """RMSNorm, then a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.linear = nn.RMSNorm(WIDTH), nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the layer's output."""
        y: torch.Tensor = self.linear(self.norm(x))
        return y


class Mlp(nn.Module):
    """RMSNorm, gate and up, SiLU times, down."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(WIDTH)
        self.gate, self.up = (nn.Linear(WIDTH, INNER, bias=False) for _ in range(2))
        self.down = nn.Linear(INNER, WIDTH, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns x and what the layers add to it."""
        y = self.norm(x)
        return x + self.down(functional.silu(self.gate(y)) * self.up(y))  # type: ignore[no-any-return]


class Block(nn.Module):
    """A decoder's block: attention, then the MLP."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.mlp = nn.RMSNorm(WIDTH), Mlp()
        self.q, self.k, self.v, self.o = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the block's output."""
        y = self.norm(x)
        q, k, v = (
            p(y).view(-1, HEADS, WIDTH // HEADS).transpose(0, 1) for p in (self.q, self.k, self.v)
        )
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        y = self.mlp(x + self.o(attended.transpose(0, 1).reshape(-1, WIDTH)))
        return y  # type: ignore[no-any-return]


def layer() -> nn.Module:
    """A layer alone, in a module, so that converting replaces it."""
    return nn.Sequential(nn.Linear(WIDTH, WIDTH, bias=False))


# Name: the model, and the tokens that it is given.
MODELS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "layer": (layer, 512),
    "layer, 2048 tokens": (layer, 2048),
    "RMSNorm, layer": (Norm, 512),
    "RMSNorm, gate and up, SiLU times, down": (Mlp, 512),
    "two blocks": (lambda: nn.Sequential(Block(), Block()), 512),
}
KINDS = ("nn.Linear", "tensorwise", "rowwise", "rowwise_with_gw_hp")


def model_of(name: str, kind: str) -> nn.Module:
    """The model in BF16, its layers converted unless the kind is nn.Linear."""
    torch.manual_seed(0)
    model = MODELS[name][0]().bfloat16()
    if kind == "nn.Linear":
        return model
    config = float8.Float8LinearConfig.from_recipe_name(kind)
    object.__setattr__(config, "emulate", True)
    return float8.convert_to_float8_training(model, config=config)


def passes(
    call: Callable[[torch.Tensor], torch.Tensor],
    model: nn.Module,
    x: torch.Tensor,
    gradient: torch.Tensor,
) -> Callable[[], torch.Tensor]:
    """Forward and backward; returns the output."""

    def run() -> torch.Tensor:
        output = call(x)
        torch.autograd.grad(output, (x, *model.parameters()), gradient)
        return output.detach()

    return run


def main() -> None:
    """Runs every model and kind of layer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--models", nargs="+", choices=tuple(MODELS), default=list(MODELS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = Results("compiled")
    for name in arguments.models:
        for kind in KINDS:
            torch.compiler.reset()
            model = model_of(name, kind)
            tokens = MODELS[name][1]
            x = torch.randn(tokens, WIDTH, dtype=torch.bfloat16, requires_grad=True)
            gradient = torch.randn(tokens, WIDTH, dtype=torch.bfloat16)
            compiled = torch.compile(model, fullgraph=True)
            candidates = {
                "eager": passes(model, model, x, gradient),
                "compiled": passes(compiled, model, x, gradient),
            }
            eager, other = (run().float() for run in candidates.values())
            # Inductor rounds a fused chain once; layers alone are equal (tests/python/compile).
            if (eager - other).norm() > 0.05 * eager.norm():
                raise SystemExit(f"{name}, {kind}: compiled and eager differ; not timed")
            times = alternate(candidates, arguments.rounds, warmup=3, clock=time.thread_time)
            ratio = times.ratio("compiled", "eager")
            results.add(
                f"compiled {name:40} {kind:18} | {times['compiled'].median * 1e3:6.2f} ms | "
                f"{ratio.median:5.3f}x eager",
                {"model": name, "layers": kind},
                seconds=times.as_dict(),
                of_eager=ratio.as_dict(),
                goals={"of_eager": GOAL},
            )


if __name__ == "__main__":
    main()
