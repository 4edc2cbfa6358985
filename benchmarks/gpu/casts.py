"""(a) Casts on the GPU: bytes per second, as a share of a copy's in the same run.

Bytes are those that a cast is designed to move (kernels/README.md): x is read once where the scale
of a row is enough to cast it, else twice; each FP8 copy is written once. The copy reads and writes
x's bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from harness import Spread

import float8  # noqa: F401  (registers the operators)
from gpu.cases import Cases, Figures, WrongResultError, parser
from gpu.goals import judge

FORMAT = torch.float8_e4m3fn
BLOCKS = {"tensorwise": [0, 0], "rowwise": [1, 0]}
LAYOUTS = ("both", "transposed", "straight")
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32, "fp16": torch.float16}
# 64 MiB and 256 MiB of bfloat16; then the other dtypes.
SIZES = (("bf16", 8192, 4096), ("bf16", 16384, 8192), ("fp32", 8192, 4096), ("fp16", 16384, 8192))
SMOKE_SIZES = (("bf16", 64, 48),)
MEASURED_SECONDS = 0.15


def moved(x: torch.Tensor, recipe: str, layout: str) -> int:
    """Bytes that the cast is designed to move."""
    once = recipe == "rowwise" and layout == "straight"
    copies = 2 if layout == "both" else 1
    return (1 if once else 2) * x.numel() * x.element_size() + copies * x.numel()


def quantizer(x: torch.Tensor, recipe: str, layout: str) -> Callable[[], Any]:
    """The operator's call."""
    ops, block = torch.ops.float8, BLOCKS[recipe]
    power_of_two = recipe == "rowwise"
    if layout == "both":
        return partial(ops.quantize_pair.default, x, FORMAT, block, block, power_of_two)
    return partial(ops.quantize.default, x, FORMAT, block, power_of_two, layout == "transposed")


def check(x: torch.Tensor, recipe: str, layout: str) -> None:
    """The bytes are those of the CPU's operator, which the tests hold against a specification."""
    part = x[:256, :512].contiguous()
    ours = quantizer(part, recipe, layout)()
    expected = quantizer(part.cpu(), recipe, layout)()
    for a, b in zip(ours, expected, strict=True):
        if not torch.equal(a.cpu().view(torch.uint8), b.view(torch.uint8)):
            raise WrongResultError("the GPU's bytes are not the CPU's")


def measure(cases: Cases, dtype: str, m: int, k: int, recipe: str, layout: str) -> Any:
    """One cast, beside a copy."""
    torch.manual_seed(0)
    x = torch.randn(m, k, device=cases.device.name).to(DTYPES[dtype])
    check(x, recipe, layout)
    target = torch.empty_like(x)
    candidates = {"quantize": quantizer(x, recipe, layout), "copy": lambda: target.copy_(x)}
    times = cases.device.alternate(candidates, MEASURED_SECONDS)
    size, copied = moved(x, recipe, layout), 2 * x.numel() * x.element_size()
    ratio = times.ratio("copy", "quantize")
    share = Spread(*(v * size / copied for v in (ratio.median, ratio.p25, ratio.p75)))
    bandwidth = size / times["quantize"].median
    line = (
        f"quantize {recipe:10} {dtype} {layout:10} | m={m:5} k={k:5} | "
        f"{times['quantize'].median * 1e6:7.1f} us | {bandwidth / 1e9:5.0f} GB/s | "
        f"{share.median:4.2f}x copy"
    )
    figures: Figures = {
        "seconds": times.as_dict(),
        "bytes": size,
        "copied_bytes": copied,
        "of_copy": share.as_dict(),
        "goals": [judge("casts.of_copy", share.median, cases.device_name)],
    }
    return line, figures


def main() -> int:
    """Every dtype, size, recipe and layout."""
    arguments = parser(__doc__).parse_args()
    cases = Cases("gpu_casts", arguments)
    for dtype, m, k in SMOKE_SIZES if arguments.smoke else SIZES:
        for layout in LAYOUTS:
            for recipe in BLOCKS:
                subject = {"recipe": recipe, "dtype": dtype, "layout": layout, "m": m, "k": k}
                run = partial(measure, cases, dtype, m, k, recipe, layout)
                cases.run(subject, run, needs_bytes=16 * m * k)
    return cases.exit_status()


if __name__ == "__main__":
    sys.exit(main())
