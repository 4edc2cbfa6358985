"""(c) A layer, forward and backward with a random gradient, over Llama 3's shapes.

Ours and torchao's, eager and compiled, and BF16 compiled, in turn in one process; each against the
floor: the three best products that are known, and the casts' fewest bytes at the copy bandwidth.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from harness import Timings
from torch import nn

from gpu.candidates import compiled, copy_of, ours, torchao_missing, torchaos
from gpu.cases import Cases, Figures, WrongResultError, parser
from gpu.earlier import as_text, measured
from gpu.floor import floor
from gpu.goals import judge
from gpu.shapes import Shape, shapes
from gpu.timing import copy_bandwidth

# Layers of one shape share their turns, and BF16's compilation.
GROUPS = (("tensorwise", "rowwise"), ("rowwise_with_gw_hp",))
MEASURED_SECONDS = 1.5
LARGEST_ERROR = 0.12  # of each result, against BF16: E5M2 gradients alone make 0.06
BYTES_PER_VALUE = 24  # of X, W and G together, with every candidate's results and copies

Passes = Callable[[], tuple[torch.Tensor, ...]]


def passes(
    layer: Callable[..., torch.Tensor], x: torch.Tensor, weight: torch.Tensor, grad: torch.Tensor
) -> Passes:
    """Forward and backward: the output and the two gradients."""

    def run() -> tuple[torch.Tensor, ...]:
        output = layer(x)
        return output.detach(), *torch.autograd.grad(output, (x, weight), grad)

    return run


def layers(
    cases: Cases, shape: Shape, recipes: tuple[str, ...], torchao: bool
) -> dict[str, Passes]:
    """Every candidate, on the same parameters and values."""
    torch.manual_seed(0)
    where: dict[str, Any] = {"device": cases.device.name, "dtype": torch.bfloat16}
    linear = nn.Linear(shape.k, shape.n, bias=False, **where)
    x = torch.randn(shape.m, shape.k, **where, requires_grad=True)
    grad = torch.randn(shape.m, shape.n, **where)
    smoke = cases.smoke
    made: dict[str, Callable[..., Any]] = {"bf16 compiled": compiled(linear, smoke)}
    for recipe in recipes:
        converted = ours(copy_of(linear), recipe, smoke)
        made[f"{recipe} ours eager"] = converted
        made[f"{recipe} ours compiled"] = compiled(converted, smoke)
        if torchao:
            theirs = torchaos(copy_of(linear), recipe, smoke)
            made[f"{recipe} torchao eager"] = theirs
            made[f"{recipe} torchao compiled"] = compiled(theirs, smoke)
    return {name: passes(call, x, linear.weight, grad) for name, call in made.items()}


def check(candidates: dict[str, Passes]) -> dict[str, str]:
    """Every result is near BF16's. Takes out peers that do not run, and says why."""
    expected = [t.float() for t in candidates["bf16 compiled"]()]
    missing = {}
    for name, run in list(candidates.items()):
        try:
            values = run()
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            if "torchao" not in name:
                raise
            missing[name] = f"{name}: {type(error).__name__}: {error}".splitlines()[0][:300]
            del candidates[name]
            continue
        for value, exact in zip(values, expected, strict=True):
            difference = float((value.float() - exact).norm() / exact.norm())
            if not difference <= LARGEST_ERROR:
                raise WrongResultError(f"{name}: relative error {difference:.3g}")
    return missing


def is_eagers(candidates: dict[str, Passes], recipe: str) -> bool:
    """Whether ours compiled gives ours eager's bits."""
    eager, fast = (candidates[f"{recipe} ours {how}"]() for how in ("eager", "compiled"))
    return all(torch.equal(a, b) for a, b in zip(eager, fast, strict=True))


def goals(recipe: str, figures: Figures, device: str) -> list[dict[str, Any]]:
    """Those that this recipe takes part in."""
    named = {
        "layers.compiled": "torchao_over_ours",
        "layers.eager": "torchao_over_ours_eager",
        "layers.of_floor": "of_floor",
        "layers.faster_than_bf16": "bf16_over_ours",
    }
    if recipe == "rowwise":
        named["layers.rowwise"] = "torchao_over_ours"
    return [
        judge(goal, figures[name]["median"], device)
        for goal, name in named.items()
        if name in figures
    ]


def figures_of(
    cases: Cases, shape: Shape, recipe: str, times: Timings, bandwidth: float
) -> Figures:
    """What one recipe's candidates took, beside each other and the floor."""
    own, eager = f"{recipe} ours compiled", f"{recipe} ours eager"
    theirs = f"{recipe} torchao compiled"
    kept = {
        name.removeprefix(f"{recipe} "): spread
        for name, spread in times.as_dict().items()
        if name.startswith((f"{recipe} ", "bf16"))
    }
    least = floor(cases.device, shape, recipe, bandwidth)
    opposite = {"median": "median", "p25": "p75", "p75": "p25"}  # of a time's quartiles
    share = {
        opposite[quartile]: float(f"{least.seconds / seconds:.5g}")
        for quartile, seconds in kept["ours compiled"].items()
    }
    figures: Figures = {
        "seconds": kept,
        "flops": shape.flops,
        "floor": {"seconds": least.seconds, "products": least.products, "casts": least.casts},
        "bytes": least.bytes,
        "bandwidth": bandwidth,
        "of_floor": share,
        "bf16_over_ours": times.ratio("bf16 compiled", own).as_dict(),
    }
    if theirs in times.as_dict():
        figures["torchao_over_ours"] = times.ratio(theirs, own).as_dict()
        figures["torchao_over_ours_eager"] = times.ratio(theirs, eager).as_dict()
    figures["goals"] = goals(recipe, figures, cases.device_name)
    return figures


class Group:
    """One shape's recipes, measured together when the first of them is asked for."""

    def __init__(self, cases: Cases, shape: Shape, recipes: tuple[str, ...], missing: str) -> None:
        self._cases, self._shape, self._recipes = cases, shape, recipes
        self._missing = {"torchao": missing} if missing else {}
        self._times: Timings | None = None
        self._same: dict[str, bool] = {}
        self._bandwidth = 0.0

    def measure(self, recipe: str) -> tuple[str, Figures]:
        """One recipe's line and figures."""
        cases, shape = self._cases, self._shape
        if self._times is None:
            torch._dynamo.reset()
            candidates = layers(cases, shape, self._recipes, not self._missing)
            self._missing |= check(candidates)
            self._same = {name: is_eagers(candidates, name) for name in self._recipes}
            self._times = cases.device.alternate(candidates, MEASURED_SECONDS)
            self._bandwidth = copy_bandwidth(cases.device)
        figures = figures_of(cases, shape, recipe, self._times, self._bandwidth)
        figures["compiled_is_eager"] = self._same[recipe]
        if self._missing:
            figures["missing"] = "; ".join(self._missing.values())
        seconds = figures["seconds"]["ours compiled"]["median"]
        ratio = figures.get("torchao_over_ours", {}).get("median")
        line = (
            f"linear {recipe:18} | {shape} | {seconds * 1e6:7.0f} us | "
            f"{shape.flops / seconds / 1e12:5.0f} TFLOPS | {figures['of_floor']['median']:4.2f} of "
            f"floor | {figures['bf16_over_ours']['median']:4.2f}x bf16 | "
            + (f"{ratio:4.2f}x torchao" if ratio else "no torchao")
        )
        return line, figures


def in_order(cases: Cases, smoke: bool) -> list[tuple[Shape, tuple[str, ...]]]:
    """What to measure, the most important first; what this commit knows already comes last."""
    groups = GROUPS[:1] if smoke else GROUPS
    found = [(shape, recipes) for recipes in groups for shape in shapes(smoke)]
    known = measured("gpu_layers", cases.device_name, cases.environment["commit"])

    def is_known(shape: Shape, recipes: tuple[str, ...]) -> bool:
        return all(as_text({**shape.subject(), "recipe": name}) in known for name in recipes)

    return sorted(found, key=lambda pair: is_known(*pair))


def main() -> int:
    """The most important shapes first, each with the two recipes that have goals of their own."""
    arguments = parser(__doc__).parse_args()
    cases = Cases("gpu_layers", arguments)
    missing = torchao_missing()
    if missing:
        print(f"torchao takes no part: {missing}", flush=True)
    for shape, recipes in in_order(cases, arguments.smoke):
        group = Group(cases, shape, recipes, missing)
        for recipe in recipes:
            values = shape.m * shape.k + shape.n * shape.k + shape.m * shape.n
            cases.run(
                {**shape.subject(), "recipe": recipe},
                partial(group.measure, recipe),
                kind=recipe,
                seconds=40.0 if recipe == recipes[0] else 3.0,
                needs_bytes=BYTES_PER_VALUE * values,
            )
    return cases.exit_status()


if __name__ == "__main__":
    sys.exit(main())
