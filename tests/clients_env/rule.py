"""Whether a program trained with the layers that were asked for, and as well as with torchao's.

The rule: a run's *gap* is the mean over its steps of |loss - BF16's loss| with the same weights and
data. Over the seeds, the mean gap of float8's runs is at most torchao's, but for chance (what the
mean of the paired differences exceeds once in a hundred times where there is none, by Student's t),
and never more than half as large again. And at the start, the first forward pass with the same
weights, float8's losses lie ten times as near to torchao's as torchao's lie to BF16's: the casts
are torchao's bit for bit, and only sums are rounded otherwise. The loss behind the first update
says no more of this: Adam makes a whole step of a gradient's sign, so that torchao's own losses
move as far when its sums are taken in float64 (exact_sums.py).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

AT_MOST = 1.5  # times torchao's gap, whatever chance would allow
NEARER = 0.1  # of torchao's distance from BF16 at the start
# Student's t, one-sided 99%, by degrees of freedom from 1.
_STUDENT = (31.82, 6.965, 4.541, 3.747, 3.365, 3.143, 2.998, 2.896, 2.821)

Curves = Sequence[Sequence[float]]  # by seed, by step
CLASSES = {
    "bf16": [],
    "torchao": ["torchao.float8.float8_linear"],
    "ours": ["float8.float8_linear"],
}


@dataclass(frozen=True)
class Expected:
    """What a run must have done; `products`: of float8's layers, in a step of one rank."""

    steps: int
    converted: int
    products: int
    ranks: int
    precomputed: int = 0


def complaints(layers: str, run: Mapping[str, Any], expected: Expected) -> list[str]:
    """What is wrong with a run whose layers were to be bf16, torchao or ours; may be empty."""
    converted = expected.converted if layers != "bf16" else 0
    products = expected.products if layers == "ours" else 0
    wanted = {
        "converted": converted,
        "class": CLASSES[layers],
        "float8_products": [[products, products]] * expected.ranks,  # in the first and last step
        "precomputed": expected.precomputed if layers != "bf16" else 0,
    }
    found = [
        f"seed {run['seed']}: {name} must be {value}, got {run.get(name)}"
        for name, value in wanted.items()
        if run.get(name, 0) != value
    ]
    losses = run["losses"]
    if len(losses) != expected.steps or not all(map(math.isfinite, losses)):
        found.append(
            f"seed {run['seed']}: {expected.steps} finite losses were expected, got {losses}"
        )
    return found


@dataclass(frozen=True)
class Verdict:
    """Gaps by seed, what chance allows beyond torchao's mean, mean distances at the start."""

    gaps_torchao: list[float]
    gaps_ours: list[float]
    chance: float
    start_torchao: float  # from BF16's losses
    start_ours: float  # from torchao's

    @property
    def torchao(self) -> float:
        """The mean gap of torchao's runs."""
        return statistics.fmean(self.gaps_torchao)

    @property
    def ours(self) -> float:
        """The mean gap of float8's runs."""
        return statistics.fmean(self.gaps_ours)

    @property
    def allowed(self) -> float:
        """The most that the mean gap of float8's runs may be."""
        return min(self.torchao + self.chance, AT_MOST * self.torchao)

    @property
    def start_allowed(self) -> float:
        """The most that float8's first losses may lie from torchao's."""
        return NEARER * self.start_torchao

    @property
    def broken(self) -> list[str]:
        """The parts of the rule that do not hold."""
        parts = {
            f"the gap must be at most {self.allowed:.5f}, got {self.ours:.5f} (torchao's is "
            f"{self.torchao:.5f})": self.ours > self.allowed,
            f"the first losses must be within {self.start_allowed:.5f} of torchao's, got "
            f"{self.start_ours:.5f}": self.start_ours > self.start_allowed,
        }
        return [text for text, is_broken in parts.items() if is_broken]


def judge(bf16: Curves, torchao: Curves, ours: Curves) -> Verdict:
    """Applies the rule; the curves are in the same order of seeds, two at least."""
    theirs = [_gap(run, base) for run, base in zip(torchao, bf16, strict=True)]
    own = [_gap(run, base) for run, base in zip(ours, bf16, strict=True)]
    paired = [a - b for a, b in zip(own, theirs, strict=True)]
    error = statistics.stdev(paired) / math.sqrt(len(paired))
    student = _STUDENT[min(len(paired) - 1, len(_STUDENT)) - 1]
    return Verdict(
        gaps_torchao=theirs,
        gaps_ours=own,
        chance=student * error,
        start_torchao=_apart_at_start(torchao, bf16),
        start_ours=_apart_at_start(ours, torchao),
    )


def _gap(run: Sequence[float], base: Sequence[float]) -> float:
    return statistics.fmean(abs(a - b) for a, b in zip(run, base, strict=True))


def _apart_at_start(runs: Curves, bases: Curves) -> float:
    pairs = zip(runs, bases, strict=True)
    return statistics.fmean(abs(run[0] - base[0]) for run, base in pairs)
