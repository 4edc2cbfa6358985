"""The goals, as data: what is to be reached on an H200, and how a figure is judged.

No import of torch here: tables and claims read this too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# The goals were set for an H200. An H100 has the same multiprocessors; only its memory is slower.
DEVICES = ("H200", "H100")


@dataclass(frozen=True)
class Goal:
    """A limit for one ratio.

    Args:
        name: benchmark.figure, as records name it.
        what: the ratio, for tables.
        limit: the value to reach, in the digits that it is judged in.
        at_least: whether more is better.
    """

    name: str
    what: str
    limit: float
    at_least: bool = True

    @property
    def text(self) -> str:
        """ "at least 0.85" """
        return f"at {'least' if self.at_least else 'most'} {self.limit:.2f}"

    def judge(self, value: float, device: str) -> dict[str, Any]:
        """What a record says of this goal; judged as shown, on two digits."""
        shown = round(value, 2)
        met = shown >= self.limit if self.at_least else shown <= self.limit
        status = "reached" if met else "missed"
        if not applies_to(device):
            status = "no goal for this device"
        return {"name": self.name, "value": shown, "limit": self.text, "status": status}


def applies_to(device: str) -> bool:
    """Whether the goals are meant for this device."""
    return any(name in device for name in DEVICES)


_LIST = (
    Goal("casts.of_copy", "casts from 64 MB up, of the copy bandwidth", 0.85),
    Goal("gemms.tensorwise", "tensorwise GEMM, `_scaled_mm`'s time / ours", 1.00),
    Goal("gemms.rowwise", "rowwise GEMM without fast accumulation, `_scaled_mm` / ours", 1.30),
    Goal("gemms.best_over_first", "GEMM, first algorithm / the one that trials choose", 1.00),
    Goal("layers.compiled", "layer, torchao compiled / ours compiled", 1.10),
    Goal("layers.eager", "layer, torchao compiled / ours eager", 1.00),
    Goal("layers.rowwise", "rowwise layer, torchao compiled / ours compiled", 1.25),
    Goal("layers.of_floor", "layer, floor / ours compiled", 0.90),
    Goal("layers.faster_than_bf16", "layer, BF16 compiled / ours compiled", 1.00),
    Goal("step.speed", "training step, BF16 compiled / ours", 1.35),
    Goal("step.memory", "training step, peak memory / BF16's", 1.00, at_least=False),
    Goal("step.saved", "a block, bytes saved for backward / BF16's", 0.90, at_least=False),
    Goal("host.forward", "eager forward, host time / nn.Linear's", 2.00, at_least=False),
)
GOALS = {goal.name: goal for goal in _LIST}


def judge(name: str, value: float, device: str) -> dict[str, Any]:
    """Judges a figure by the goal of that name."""
    return GOALS[name].judge(value, device)
