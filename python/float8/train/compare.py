"""`float8 compare RUN_A RUN_B ...`: loss curves, speed and memory of runs, side by side.

Whether two kinds of run differ is asked of their final losses. Runs of one kind that differ only in
seed say how much chance does; without them there is nothing to hold a difference against.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from pathlib import Path

from float8.train.console import View, columns
from float8.train.curves import Curve, read_runs, up_to_common_step
from float8.train.picture import smooth

_LAST = 50  # steps that a final loss is the mean of, or the last quarter of a shorter run


@dataclass(frozen=True)
class Verdict:
    """Two kinds of run: the mean difference of their final losses, and what chance makes of it."""

    difference: float
    chance: float | None

    @property
    def text(self) -> str:
        """One sentence."""
        if self.chance is None:
            return (
                f"{self.difference:+.4f}; cannot tell whether that is more than seeds differ by: "
                "give at least two runs of each kind, as LABEL=RUN with one label, and seeds of "
                "their own"
            )
        more = abs(self.difference) > self.chance
        return (
            f"{self.difference:+.4f}, {'MORE' if more else 'not more'} than seeds differ by "
            f"({self.chance:.4f})"
        )


def judge(first: list[float], second: list[float]) -> Verdict:
    """Whether two kinds of run differ by more than their seeds do.

    Chance is what a difference of means exceeds once in twenty comparisons of kinds that do not
    differ (Student's t with the spread of each kind over its seeds). Seeds are not paired: a
    difference that every seed shows may still be within it.
    """
    difference = statistics.fmean(second) - statistics.fmean(first)
    if len(first) < 2 or len(second) < 2:
        return Verdict(difference, None)
    degrees = len(first) + len(second) - 2
    pooled = (
        sum((value - statistics.fmean(own)) ** 2 for own in (first, second) for value in own)
        / degrees
    )
    error = math.sqrt(pooled * (1 / len(first) + 1 / len(second)))
    return Verdict(difference, _student(degrees) * error)


# Student's t, two-sided 95%, by degrees of freedom from 2; 2.2 is right for 11, and a little more
# than it takes for many.
_STUDENT = (4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)


def _student(degrees: int) -> float:
    return _STUDENT[degrees - 2] if degrees - 2 < len(_STUDENT) else 2.2


def compare_command(words: list[str], picture: Path) -> None:
    """Runs `float8 compare`.

    Args:
        words: the runs, see `read_runs`.
        picture: the PNG to write.

    Raises:
        TrainError: see `read_runs`.
        OSError: the picture cannot be written.
    """
    view = View()
    whole = read_runs(words)
    runs = up_to_common_step(whole)
    shortest = min(len(own[0].losses) for own in runs.values())
    last = min(_LAST, max(1, shortest // 4))
    longest = max(len(curve.losses) for own in whole.values() for curve in own)
    if longest > shortest:
        view.line(
            f"compared over the {shortest} steps that all runs have; the longest has {longest}"
        )
    rows = [["run", "seeds", f"loss, last {last}", "validation", "tokens/s", "peak GiB"]]
    for label, own in runs.items():
        rows.append(
            [
                label,
                str(len(own)),
                f"{statistics.fmean(c.final(last) for c in own):.4f}",
                _mean([c.validation for c in own], ".4f"),
                _mean([c.tokens_per_second for c in own], ".0f"),
                _mean([c.memory for c in own], ".2f"),
            ]
        )
    view.line(columns(rows))
    (first, base), *others = runs.items()
    for label, own in others:
        verdict = judge([c.final(last) for c in base], [c.final(last) for c in own])
        view.line(f"{label} - {first}: {verdict.text}")
    draw(runs, picture)
    view.line(f"picture {picture}")


def _mean(values: list[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return format(statistics.fmean(known), form) if known else "-"


def draw(runs: dict[str, list[Curve]], path: Path) -> None:
    """All curves in one picture: a colour for each label; below, the difference of the means."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    means = {}
    for colour, (label, own) in enumerate(runs.items()):
        window = max(1, len(own[0].losses) // 25)
        for i, curve in enumerate(own):
            upper.plot(curve.steps, smooth(curve.losses, window), color=f"C{colour}", linewidth=0.9,
                       label=(f"{label} ({len(own)} seeds)" if len(own) > 1 else label)
                       if i == 0 else None)  # fmt: skip
        means[label] = [
            statistics.fmean(values) for values in zip(*(c.losses for c in own), strict=True)
        ]
    (first, base), *others = means.items()
    for colour, (label, mean) in enumerate(others, 1):
        difference = [a - b for a, b in zip(mean, base, strict=True)]
        window = max(1, len(difference) // 25)
        lower.plot(runs[label][0].steps, smooth(difference, window), color=f"C{colour}",
                   linewidth=0.9)  # fmt: skip
    lower.axhline(0, color="gray", linewidth=0.8)
    lower.set_ylabel(f"minus {first}")
    lower.set_xlabel("step")
    upper.set_ylabel("loss, nats per token (running mean)")
    upper.legend()
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    aside = path.with_suffix(".tmp.png")
    figure.savefig(aside, dpi=110)
    aside.replace(path)
