"""Runs as `float8 compare` takes them: read from their metrics, cut to the steps they share."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from float8.train.errors import TrainError
from float8.train.metrics import Row


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


def read_runs(words: list[str]) -> dict[str, list[Curve]]:
    """The runs of a command line, by label.

    Args:
        words: each a folder that holds metrics.jsonl, the file itself, or a folder of runs (bf16,
            fp8); `LABEL=` before it names it, and runs of one label differ in their seed alone.

    Raises:
        TrainError: no metrics there, a line that is none, a run given twice, or no common step.
    """
    runs: dict[str, list[Curve]] = {}
    read: set[Path] = set()
    for word in words:
        label, given, place = word.partition("=")
        path = Path(place if given else word)
        files = _metrics_files(path)
        for file in files:
            name = label if given else _name_of(file)
            if given and len(files) > 1:
                name = f"{label} {file.parent.name}"
            if file.resolve() in read:  # twice, it would look as if seeds made no difference
                raise TrainError(f"{file} is given twice")
            read.add(file.resolve())
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
