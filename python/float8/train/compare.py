"""`float8 compare RUN_A RUN_B ...`: loss curves, speed and memory of runs, side by side.

Whether two kinds of run differ is asked of their final losses. Runs of one kind that differ only in
seed say how much chance does; without them there is nothing to hold a difference against.
"""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from float8.train.console import View, columns
from float8.train.errors import TrainError
from float8.train.metrics import Row
from float8.train.picture import smooth

_LAST = 50  # steps that a final loss is the mean of, or the last quarter of a shorter run


@dataclass(frozen=True)
class Curve:
    """One run, as its metrics.jsonl has it."""

    label: str
    steps: list[int]
    losses: list[float]
    validation: float | None
    tokens_per_second: float | None
    memory: float | None

    def final(self, last: int) -> float:
        """The mean loss of the last steps."""
        return statistics.fmean(self.losses[-last:])


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


def read_runs(words: list[str]) -> dict[str, list[Curve]]:
    """The runs of a command line, by label.

    Args:
        words: each a folder that holds metrics.jsonl, the file itself, or a folder of runs (bf16,
            fp8); `LABEL=` before it names it, and runs of one label differ in their seed alone.

    Raises:
        TrainError: no metrics there, a line that is none, or runs without a common step.
    """
    runs: dict[str, list[Curve]] = {}
    for word in words:
        label, given, place = word.partition("=")
        path = Path(place if given else word)
        files = _metrics_files(path)
        for file in files:
            name = label if given else _name_of(file)
            if given and len(files) > 1:
                name = f"{label} {file.parent.name}"
            runs.setdefault(name, []).append(_read(name, file))
    if sum(map(len, runs.values())) < 2:
        raise TrainError(f"compare needs at least two runs, got {', '.join(words) or 'none'}")
    steps = [set(curve.steps) for own in runs.values() for curve in own]
    if not set.intersection(*steps):
        raise TrainError("the runs have no step in common, so that their losses cannot be compared")
    return runs


def _metrics_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    own = path / "metrics.jsonl"
    found = [own] if own.is_file() else sorted(path.glob("*/metrics.jsonl"))
    if not found:
        what = "a folder without metrics.jsonl" if path.is_dir() else "nothing"
        raise TrainError(
            f"{path}: a run's folder (with metrics.jsonl, or with bf16/ and fp8/ in it) was "
            f"expected, {what} is there"
        )
    return found


def _name_of(file: Path) -> str:
    parents = [part for part in file.resolve().parent.parts[-2:] if part]
    return "/".join(parents)


def _read(label: str, file: Path) -> Curve:
    rows: list[Row] = []
    lines = file.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            rows.append({"step": int(row["step"]), **_numbers(row)})
        except (ValueError, TypeError, KeyError) as error:
            if number == len(lines) and rows:  # cut short by the end of its process
                break
            raise TrainError(
                f"{file}:{number}: a JSON map with a step was expected, found {line[:60]!r}"
            ) from error
    steps = [row for row in rows if "loss" in row]
    if not steps:
        raise TrainError(f"{file}: no step with a loss in it")
    speeds = [row["tokens_per_second"] for row in steps if "tokens_per_second" in row]
    memory = [row["peak_memory_gib"] for row in steps if "peak_memory_gib" in row]
    checked = [row["validation_loss"] for row in rows if "validation_loss" in row]
    return Curve(
        label,
        [row["step"] for row in steps],
        [row["loss"] for row in steps],
        checked[-1] if checked else None,
        statistics.median(speeds) if speeds else None,
        max(memory) if memory else None,
    )


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in row.items()
        if name != "step" and isinstance(value, (int, float))
    }


def up_to_common_step(runs: dict[str, list[Curve]]) -> dict[str, list[Curve]]:
    """The runs, cut to the steps that all of them have."""
    common = set.intersection(*(set(c.steps) for own in runs.values() for c in own))

    def cut(curve: Curve) -> Curve:
        kept = [(s, v) for s, v in zip(curve.steps, curve.losses, strict=True) if s in common]
        whole = curve.validation if len(kept) == len(curve.steps) else None
        return Curve(curve.label, [s for s, _ in kept], [v for _, v in kept], whole,
                     curve.tokens_per_second, curve.memory)  # fmt: skip

    return {label: [cut(curve) for curve in own] for label, own in runs.items()}


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


# Student's t, two-sided 95%, by degrees of freedom from 2; more than ten are near enough to 2.
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
