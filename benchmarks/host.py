"""Host time of an eager call for a tiny layer, beside nn.Linear's: what a layer costs besides work.

One thread, bfloat16, 16 x 16 values, so that the products take next to no time. On a CPU the time
includes the casts of these few values; on a GPU (`--device cuda`) only what the host does: few
calls in a row, so that it never waits for the GPU.
Goal: a forward pass in at most twice nn.Linear's time, which is meant for a GPU; the CPU's is
recorded beside it.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial

import torch
from gpu.goals import judge
from harness import Results, alternate
from torch import nn

import float8

CALLS = {"cpu": 500, "cuda": 40}
SIZE = 16


def repeat(call: Callable[[], object], device: str) -> float:
    """Seconds of one call, from many in a row."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter() if device == "cuda" else time.thread_time()
    for _ in range(CALLS[device]):
        call()
    end = time.perf_counter() if device == "cuda" else time.thread_time()
    return (end - start) / CALLS[device]


def forward_backward(layer: nn.Module, x: torch.Tensor, gradient: torch.Tensor) -> None:
    """Both passes. A CPU's backward pass runs on this thread, a GPU's while this one waits."""
    torch.autograd.grad(layer(x), (x, layer.weight), gradient)


def main() -> None:
    """Forward without and with gradients, and both passes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, help="15, or 101 on a GPU")
    parser.add_argument("--device", choices=list(CALLS), default="cpu")
    arguments = parser.parse_args()
    device = arguments.device
    os.environ["FLOAT8_BENCHMARK_DEVICE"] = device
    rounds = arguments.rounds or (15 if device == "cpu" else 101)
    torch.set_num_threads(1)
    results = Results("host")
    where = {"dtype": torch.bfloat16, "device": device}
    linear = nn.Linear(SIZE, SIZE, bias=False, **where)
    config = float8.Float8LinearConfig(emulate=device == "cpu")
    layers = {
        "float8": float8.Float8Linear.from_float(linear, config),
        "nn_linear": linear,
    }
    x = torch.randn(SIZE, SIZE, **where)
    leaf = x.clone().requires_grad_()
    gradient = torch.randn(SIZE, SIZE, **where)
    subjects: dict[str, Callable[[nn.Module], object]] = {
        "inference": torch.no_grad()(lambda layer: layer(x)),
        "forward": lambda layer: layer(leaf),
        "forward_backward": lambda layer: forward_backward(layer, leaf, gradient),
    }
    for name, call in subjects.items():
        candidates = {
            who: partial(repeat, partial(call, layer), device) for who, layer in layers.items()
        }
        times = alternate(candidates, rounds)
        ratio = times.ratio("float8", "nn_linear")
        judged = name == "forward" and device == "cuda"
        results.add(
            f"host {name:16} | m=n=k={SIZE:5} | {times['float8'].median * 1e6:6.1f} us | "
            f"{times['nn_linear'].median * 1e6:6.1f} us nn.Linear | {ratio.median:4.2f}x nn.Linear",
            {"pass": name, "size": SIZE},
            seconds=times.as_dict(),
            of_nn_linear=ratio.as_dict(),
            goals=[judge("host.forward", ratio.median, results.device)] if judged else {},
        )


if __name__ == "__main__":
    main()
