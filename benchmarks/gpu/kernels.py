"""Where a layer's time goes: the device time of each kernel, by torch's profiler."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from gpu.candidates import compiled, copy_of, ours, torchao_missing, torchaos
from gpu.cases import Cases, Figures, parser
from gpu.shapes import Shape, shapes

RECIPES = ("tensorwise", "rowwise")
CALLS = 10
# What a kernel's name says of its part; the first that fits.
PARTS = (
    ("compiled", ("triton_",)),
    ("amax", ("amax_flat_kernel", "measure_kernel", "amax_to_scale_kernel")),
    ("cast", ("cast_tiles_kernel", "quantize_rows_kernel")),
    ("transpose", ("transpose_kernel",)),
    ("product", ("gemm", "nvjet", "cutlass", "cublas", "mm")),
)


def part_of(kernel: str) -> str:
    """Which part of a layer a kernel is."""
    for part, names in PARTS:
        if any(name in kernel.lower() for name in names):
            return part
    return "other"


def measure(cases: Cases, shape: Shape, recipe: str, who: str) -> tuple[str, Figures]:
    """One layer, forward and backward."""
    torch._dynamo.reset()
    torch.manual_seed(0)
    where: dict[str, Any] = {"device": cases.device.name, "dtype": torch.bfloat16}
    linear = nn.Linear(shape.k, shape.n, bias=False, **where)
    x = torch.randn(shape.m, shape.k, **where, requires_grad=True)
    grad = torch.randn(shape.m, shape.n, **where)
    if who == "torchao compiled":
        layer = compiled(torchaos(copy_of(linear), recipe, cases.smoke), cases.smoke)
    else:
        layer = ours(copy_of(linear), recipe, cases.smoke)

    def step() -> None:
        torch.autograd.grad(layer(x), (x, linear.weight), grad)

    for _ in range(3):
        step()
    cases.device.synchronize()
    activity = ProfilerActivity.CPU if cases.smoke else ProfilerActivity.CUDA
    with profile(activities=[activity], acc_events=True) as profiler:
        for _ in range(CALLS):
            step()
        cases.device.synchronize()
    wanted = DeviceType.CPU if cases.smoke else DeviceType.CUDA
    seconds: dict[str, float] = {}
    for event in profiler.key_averages():
        own = event.self_cpu_time_total if cases.smoke else event.self_device_time_total
        if event.device_type == wanted and own > 0:
            seconds[event.key] = seconds.get(event.key, 0.0) + own / 1e6 / CALLS
    total = sum(seconds.values())
    parts: dict[str, float] = {}
    for kernel, own in seconds.items():
        parts[part_of(kernel)] = parts.get(part_of(kernel), 0.0) + own
    shares = {name: round(own / total, 4) for name, own in sorted(parts.items())}
    figures: Figures = {
        "seconds_by_kernel": {
            name[:160]: float(f"{own:.4g}")
            for name, own in sorted(seconds.items(), key=lambda pair: -pair[1])[:20]
        },
        "seconds": total,
        "shares": shares,
    }
    text = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    return f"kernels {recipe:10} {who:16} | {shape} | {total * 1e6:6.0f} us | {text}", figures


def main() -> int:
    """Ours eager, and torchao compiled, on the first shape."""
    arguments = parser(__doc__).parse_args()
    cases = Cases("gpu_kernels", arguments)
    missing = torchao_missing()
    for shape in shapes(arguments.smoke)[:1]:
        for recipe in RECIPES[:1] if arguments.smoke else RECIPES:
            for who in ("ours eager", "torchao compiled"):
                subject = {**shape.subject(), "recipe": recipe, "who": who}
                if missing and who.startswith("torchao"):
                    cases.skip(subject, missing)
                    continue
                cases.run(
                    subject, partial(measure, cases, shape, recipe, who), kind=who, seconds=8.0
                )
    return cases.exit_status()


if __name__ == "__main__":
    sys.exit(main())
