"""Host time of an eager call for a tiny layer, beside nn.Linear's: what a layer costs besides work.

One thread, bfloat16, 16 x 16 values, so that the products take next to no time. On a CPU the time
includes the casts of these few values; on a GPU (not here yet) only what the host does.
Goal: a forward pass in at most twice nn.Linear's time, which is meant for a GPU; the CPU's is
recorded beside it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch
from harness import Results, alternate
from torch import nn

import float8

CALLS = 500
SIZE = 16


def repeat(call: Callable[[], object]) -> float:
    """Seconds of one call, from many in a row."""
    start = time.thread_time()
    for _ in range(CALLS):
        call()
    return (time.thread_time() - start) / CALLS


def forward_backward(layer: nn.Module, x: torch.Tensor, gradient: torch.Tensor) -> None:
    """Both passes, on this thread: a CPU's backward pass runs where it is called."""
    torch.autograd.grad(layer(x), (x, layer.weight), gradient)


def main() -> None:
    """Forward without and with gradients, and both passes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = Results("host")
    linear = nn.Linear(SIZE, SIZE, bias=False, dtype=torch.bfloat16)
    config = float8.Float8LinearConfig(emulate=True)
    layers = {
        "float8": float8.Float8Linear.from_float(linear, config),
        "nn_linear": linear,
    }
    x = torch.randn(SIZE, SIZE, dtype=torch.bfloat16)
    leaf = x.clone().requires_grad_()
    gradient = torch.randn(SIZE, SIZE, dtype=torch.bfloat16)
    subjects: dict[str, Callable[[nn.Module], object]] = {
        "inference": torch.no_grad()(lambda layer: layer(x)),
        "forward": lambda layer: layer(leaf),
        "forward_backward": lambda layer: forward_backward(layer, leaf, gradient),
    }
    for name, call in subjects.items():
        candidates = {who: partial(repeat, partial(call, layer)) for who, layer in layers.items()}
        times = alternate(candidates, arguments.rounds)
        ratio = times.ratio("float8", "nn_linear")
        results.add(
            f"host {name:16} | m=n=k={SIZE:5} | {times['float8'].median * 1e6:6.1f} us | "
            f"{times['nn_linear'].median * 1e6:6.1f} us nn.Linear | {ratio.median:4.2f}x nn.Linear",
            {"pass": name, "size": SIZE},
            seconds=times.as_dict(),
            of_nn_linear=ratio.as_dict(),
            goals={},
        )


if __name__ == "__main__":
    main()
