"""The three products of a layer, as each recipe takes them: ours, `torch._scaled_mm`'s, BF16's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

import float8  # noqa: F401  (registers the operators)
from gpu.cases import WrongResultError
from gpu.shapes import Shape
from gpu.timing import Candidates, Device

E4M3, E5M2 = torch.float8_e4m3fn, torch.float8_e5m2
TENSOR, ROWS = [0, 0], [1, 0]
PRODUCTS = ("fprop", "dgrad", "wgrad")
# Both multiply the same FP8 values: only the sums' order and width differ, and one rounding.
LARGEST_DIFFERENCE = 2.0**-6


@dataclass(frozen=True)
class Recipe:
    """What of a recipe matters to a product. `hp_wgrad`: the weight's gradient stays in BF16."""

    block: tuple[int, int]
    gradient: torch.dtype
    power_of_two: bool
    hp_wgrad: bool = False


RECIPES = {
    "tensorwise": Recipe((0, 0), E5M2, power_of_two=False),
    "rowwise": Recipe((1, 0), E4M3, power_of_two=True),
    "rowwise_with_gw_hp": Recipe((1, 0), E4M3, power_of_two=True, hp_wgrad=True),
}


def sizes(shape: Shape, product: str) -> tuple[int, int, int]:
    """M, N, K of D[M, N] = A[M, K] B[N, K]^T."""
    m, n, k = shape.m, shape.n, shape.k
    return {"fprop": (m, n, k), "dgrad": (m, k, n), "wgrad": (n, k, m)}[product]


class Product:
    """One product on random values.

    Args:
        device: where.
        shape: of the layer.
        product: fprop, dgrad or wgrad.
        recipe: its name; what it leaves in high precision has no FP8 candidate.
    """

    def __init__(self, device: Device, shape: Shape, product: str, recipe: str) -> None:
        rules = RECIPES[recipe]
        self.missing = ""  # why there is no peer
        self.m, self.n, self.k = sizes(shape, product)
        self.high_precision = rules.hp_wgrad and product == "wgrad"
        self.fast = product == "fprop"  # as the recipes have it, torchao's too
        torch.manual_seed(0)
        a = torch.randn(self.m, self.k, device=device.name, dtype=torch.bfloat16)
        b = torch.randn(self.n, self.k, device=device.name, dtype=torch.bfloat16)
        self.candidates: dict[str, Callable[[], torch.Tensor]] = {"bf16": lambda: a @ b.t()}
        if self.high_precision:
            return
        quantize = torch.ops.float8.quantize
        block_a, block_b = list(rules.block), list(rules.block)
        if recipe == "rowwise_with_gw_hp" and product == "dgrad":
            block_b = TENSOR  # the weight
        format_a = E4M3 if product == "fprop" else rules.gradient
        data_a, scale_a = quantize(a, format_a, block_a, rules.power_of_two)
        data_b, scale_b = quantize(b, E4M3, block_b, rules.power_of_two)
        if block_a == ROWS and block_b == TENSOR:
            scale_b = scale_b.expand(self.n, 1).contiguous()
        ours = torch.ops.float8.scaled_mm.default
        self.candidates["float8"] = lambda: ours(
            data_a, data_b, scale_a, scale_b, None, out_dtype=torch.bfloat16,
            use_fast_accum=self.fast, emulate=device.rehearsal,
        )  # fmt: skip
        if device.rehearsal:
            self.candidates["scaled_mm"] = lambda: (
                (data_a.float() * scale_a) @ (data_b.float() * scale_b).t()
            ).bfloat16()
            return
        rows = block_a == ROWS
        peer_a, peer_b = (scale_a, scale_b.t()) if rows else (scale_a[0, 0], scale_b[0, 0])
        self.candidates["scaled_mm"] = lambda: torch._scaled_mm(
            data_a, data_b.t(), scale_a=peer_a, scale_b=peer_b, out_dtype=torch.bfloat16,
            use_fast_accum=self.fast,
        )  # fmt: skip

    @property
    def flops(self) -> int:
        """Of this product."""
        return 2 * self.m * self.n * self.k

    @property
    def least_bytes(self) -> int:
        """Both operands read and the result written once."""
        operand = 2 if self.high_precision else 1
        return operand * self.operand_bytes + 2 * self.m * self.n

    @property
    def operand_bytes(self) -> int:
        """Of both operands in FP8."""
        return (self.m + self.n) * self.k

    def check(self) -> None:
        """Ours against `_scaled_mm`, where it is there."""
        if self.high_precision:
            return
        ours = self.candidates["float8"]().float()
        try:
            theirs = self.candidates["scaled_mm"]().float()
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, NotImplementedError, ValueError, AttributeError) as error:
            self.missing = f"_scaled_mm: {str(error).splitlines()[0][:200]}"
            del self.candidates["scaled_mm"]
            theirs = self.candidates["bf16"]().float()
            largest = 0.1  # the casts' own error: about 0.04 on normal values
        else:
            largest = LARGEST_DIFFERENCE
        difference = float((ours - theirs).norm() / theirs.norm())
        if not difference <= largest:
            raise WrongResultError(f"relative difference {difference:.2g}, expected <= {largest}")

    def fp8_candidates(self) -> Candidates:
        """All but BF16's, unless it is the only one."""
        own = {name: run for name, run in self.candidates.items() if name != "bf16"}
        return own or self.candidates
