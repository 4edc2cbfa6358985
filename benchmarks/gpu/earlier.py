"""What an earlier benchmark of the same run found out: records from the run's own results file."""

from __future__ import annotations

import json
from typing import Any

from harness import results_file
from records import parse, read
from source import ROOT


def records(name: str) -> list[dict[str, Any]]:
    """The whole records of a benchmark so far; a line that is cut off is left out."""
    try:
        lines = results_file(name).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = [record for record, _ in map(parse, lines) if record is not None]
    return [record for record in found if record["benchmark"] == name]


def measured(name: str, device: str, commit: str) -> set[str]:
    """Subjects with figures of this device and commit, in this run's file or among the results."""
    stored = read(ROOT / "benchmarks" / "results" / f"{name}.jsonl")
    return {
        as_text(record["subject"])
        for record in [*records(name), *stored]
        if record["environment"].get("device") == device
        and record["environment"].get("commit") == commit
        and "seconds" in record
    }


def as_text(subject: dict[str, Any]) -> str:
    """A subject, to be compared."""
    return json.dumps(subject, sort_keys=True)


def find(name: str, figure: str, **subject: Any) -> dict[str, Any] | None:
    """The last record with this figure, on this subject."""
    for record in reversed(records(name)):
        own = record.get("subject", {})
        if figure in record and all(own.get(key) == value for key, value in subject.items()):
            return record
    return None
