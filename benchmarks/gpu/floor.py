"""The least time that a layer could take: its three best products, and its casts' fewest bytes."""

from __future__ import annotations

from dataclasses import dataclass

from gpu.earlier import find
from gpu.gemms import BENCHMARK as GEMMS
from gpu.gemms import TUNED_CANDIDATES
from gpu.products import PRODUCTS, RECIPES, Product
from gpu.shapes import Shape
from gpu.timing import Device

PRODUCT_SECONDS = 0.05


def fewest_bytes(shape: Shape, recipe: str) -> int:
    """That the casts of a bfloat16 layer can move: X, W and G read once, each copy written once."""
    x, w, g = shape.m * shape.k, shape.n * shape.k, shape.m * shape.n
    if RECIPES[recipe].hp_wgrad:  # X and G have no transposed copy
        return 3 * x + 4 * w + 3 * g
    return 4 * (x + w + g)


@dataclass(frozen=True)
class Floor:
    """Seconds of the three products, each by the best way known, and of the casts."""

    products: dict[str, float]
    casts: float
    bytes: int
    bandwidth: float

    @property
    def seconds(self) -> float:
        """All of it."""
        return sum(self.products.values()) + self.casts


def best_seconds(device: Device, shape: Shape, name: str, recipe: str) -> float:
    """A product's least time: ours, `_scaled_mm`'s, or what the best algorithm found takes.

    The last was measured earlier, against `_scaled_mm`, which is timed again here: so the clocks of
    another minute do not count.
    """
    product = Product(device, shape, name, recipe)
    product.check()
    times = device.alternate(product.fp8_candidates(), PRODUCT_SECONDS)
    seconds = [times[candidate].median for candidate in product.fp8_candidates()]
    tuned = find(
        GEMMS, "over_scaled_mm", **shape.subject(), product=name, recipe=recipe,
        algorithms=TUNED_CANDIDATES,
    )  # fmt: skip
    if tuned is not None and "scaled_mm" in product.candidates:
        seconds.append(times["scaled_mm"].median / tuned["over_scaled_mm"]["median"])
    return min(seconds)


def floor(device: Device, shape: Shape, recipe: str, bandwidth: float) -> Floor:
    """Measures the products on this shape."""
    moved = fewest_bytes(shape, recipe)
    products = {name: best_seconds(device, shape, name, recipe) for name in PRODUCTS}
    return Floor(products, moved / bandwidth, moved, bandwidth)
