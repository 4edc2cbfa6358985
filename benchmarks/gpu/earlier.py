"""What an earlier benchmark of the same run found out: records from the run's own results file."""

from __future__ import annotations

import json
from typing import Any

from harness import results_file


def records(name: str) -> list[dict[str, Any]]:
    """The whole records of a benchmark so far; a line that is cut off is left out."""
    try:
        lines = results_file(name).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("benchmark") == name:
            found.append(record)
    return found


def find(name: str, figure: str, **subject: Any) -> dict[str, Any] | None:
    """The last record with this figure, on this subject."""
    for record in reversed(records(name)):
        own = record.get("subject", {})
        if figure in record and all(own.get(key) == value for key, value in subject.items()):
            return record
    return None
