"""Time to convert a model of many linear layers, beside torchao's.

Each turn converts a fresh model; only the conversion is timed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torchao.float8
from harness import Results, alternate
from torch import nn

import float8

LAYERS_PER_BLOCK = 10
SIZE = 64


def model(layers: int) -> nn.Module:
    """A model of `layers` linear layers, ten to a block."""
    return nn.Sequential(
        *(
            nn.Sequential(*(nn.Linear(SIZE, SIZE) for _ in range(LAYERS_PER_BLOCK)))
            for _ in range(layers // LAYERS_PER_BLOCK)
        )
    )


def conversion(convert: Callable[[nn.Module], nn.Module], layers: int) -> Callable[[], float]:
    """Times `convert` on a fresh model."""

    def run() -> float:
        fresh = model(layers)
        start = time.perf_counter()
        converted = convert(fresh)
        seconds = time.perf_counter() - start
        count = sum("Float8Linear" in type(module).__name__ for module in converted.modules())
        if count != layers:
            raise SystemExit(f"{count} of {layers} layers converted, not timed")
        return seconds

    return run


def main() -> None:
    """Converts the model in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--layers", type=int, default=1000)
    arguments = parser.parse_args()
    results = Results("conversion")
    times = alternate(
        {
            "float8": conversion(float8.convert_to_float8_training, arguments.layers),
            "torchao": conversion(torchao.float8.convert_to_float8_training, arguments.layers),
        },
        arguments.rounds,
    )
    ratio = times.ratio("float8", "torchao")
    results.add(
        f"convert {arguments.layers} layers | {times['float8'].median * 1e3:6.1f} ms | "
        f"{times['torchao'].median * 1e3:6.1f} ms torchao | {ratio.median:4.2f}x torchao",
        {"layers": arguments.layers},
        seconds=times.as_dict(),
        of_torchao=ratio.as_dict(),
        goals={},
    )


if __name__ == "__main__":
    main()
