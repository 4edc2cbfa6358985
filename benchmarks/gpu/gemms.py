"""(b) GEMMs: TFLOP/s beside `torch._scaled_mm` and BF16, and beside the best algorithm found.

A library's process chooses algorithms in one way. So the best one is measured by a second run,
`--tuned`, where the library times the first 16 algorithms of each problem (FLOAT8_GEMM_CANDIDATES).
`_scaled_mm` takes turns with ours in both runs, and the two are compared through it.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Any

from gpu.cases import Cases, Figures, parser
from gpu.earlier import find
from gpu.goals import judge
from gpu.products import PRODUCTS, Product
from gpu.shapes import Shape, shapes
from gpu.timing import copy_bandwidth

RECIPES = ("tensorwise", "rowwise")
TUNED_CANDIDATES = 16
MEASURED_SECONDS = 0.15
BENCHMARK = "gpu_gemms"


def subject_of(shape: Shape, product: str, recipe: str, tuned: bool) -> dict[str, Any]:
    """What a record says."""
    algorithms = TUNED_CANDIDATES if tuned else 1
    own = shape.subject()
    return {**own, "product": product, "recipe": recipe, "algorithms": algorithms}


def goals(
    product: Product, recipe: str, figures: Figures, subject: dict[str, Any], device: str
) -> list[dict[str, Any]]:
    """Those that this product takes part in."""
    ratio = figures.get("over_scaled_mm")
    if ratio is None:
        return []
    if subject["algorithms"] > 1:
        first = find(BENCHMARK, "over_scaled_mm", **{**subject, "algorithms": 1})
        if first is None:
            return []
        gain = ratio["median"] / first["over_scaled_mm"]["median"]
        figures["over_first"] = float(f"{gain:.4g}")
        return [judge("gemms.best_over_first", gain, device)]
    if recipe == "tensorwise":
        return [judge("gemms.tensorwise", ratio["median"], device)]
    return [] if product.fast else [judge("gemms.rowwise", ratio["median"], device)]


def measure(
    cases: Cases, shape: Shape, product_name: str, recipe: str, tuned: bool, bandwidth: float
) -> Any:
    """One product, all candidates in turn."""
    product = Product(cases.device, shape, product_name, recipe)
    product.check()  # also makes the plan, and times its algorithms
    times = cases.device.alternate(product.candidates, MEASURED_SECONDS)
    figures: Figures = {
        "seconds": times.as_dict(),
        "flops": product.flops,
        "least_bytes": product.least_bytes,
        "operand_bytes": product.operand_bytes,
        "bandwidth": bandwidth,
        "over_bf16": times.ratio("bf16", "float8").as_dict(),
    }
    if "scaled_mm" in product.candidates:
        figures["over_scaled_mm"] = times.ratio("scaled_mm", "float8").as_dict()
    if product.missing:
        figures["missing"] = product.missing
    subject = subject_of(shape, product_name, recipe, tuned)
    figures["goals"] = goals(product, recipe, figures, subject, cases.device_name)
    seconds = times["float8"].median
    peer = figures.get("over_scaled_mm", {}).get("median")
    line = (
        f"scaled_mm {recipe:10} {product_name} {'best ' if tuned else 'first'} | {shape} | "
        f"{seconds * 1e6:7.1f} us | {product.flops / seconds / 1e12:5.0f} TFLOPS | "
        f"{figures['over_bf16']['median']:4.2f}x bf16 | "
        + (f"{peer:4.2f}x _scaled_mm" if peer else "no _scaled_mm")
    )
    return line, figures


def main() -> int:
    """Every shape, product and recipe."""
    made = parser(__doc__)
    made.add_argument("--tuned", action="store_true", help="the fastest of 16 algorithms")
    made.add_argument("--choices", help="file for the chosen algorithms")
    arguments = made.parse_args()
    if arguments.tuned:  # read by the library when it makes its first plan
        os.environ["FLOAT8_GEMM_CANDIDATES"] = str(TUNED_CANDIDATES)
        if arguments.choices:
            os.environ["FLOAT8_GEMM_CACHE"] = arguments.choices
    cases = Cases(BENCHMARK, arguments)
    bandwidth = copy_bandwidth(cases.device)  # the roofline's slope
    for shape in shapes(arguments.smoke):
        for product in PRODUCTS:
            for recipe in RECIPES:
                subject = subject_of(shape, product, recipe, arguments.tuned)
                run = partial(measure, cases, shape, product, recipe, arguments.tuned, bandwidth)
                needed = 4 * (shape.m * shape.k + shape.n * shape.k + 4 * shape.m * shape.n)
                cases.run(subject, run, seconds=0.8, needs_bytes=needed)
    return cases.exit_status()


if __name__ == "__main__":
    sys.exit(main())
