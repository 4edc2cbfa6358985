"""Reading result files: whole lines of this version, and which of them a table shows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

SCHEMA = 1

Record = dict[str, Any]


def parse(line: str) -> tuple[Record | None, str]:
    """A record, or None and why the line is left out."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return None, "not JSON (cut off?)"
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        return None, f"not of schema {SCHEMA}"
    if not {"benchmark", "date", "subject", "environment"} <= record.keys():
        return None, "not a whole record"
    return record, ""


def read(path: Path) -> list[Record]:
    """The records of one file, if there is one; what is cut off or of another schema is named."""
    records: list[Record] = []
    if not path.exists():
        return records
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), start=1):
        record, why = parse(line)
        if record is None:
            print(f"{path.name}:{number}: {why}, left out", file=sys.stderr)
        elif not record["environment"].get("rehearsal"):
            records.append(record)
    return records


def by_benchmark(records: list[Record]) -> dict[str, list[Record]]:
    """Sorted into the benchmarks that wrote them."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record["benchmark"], []).append(record)
    return found


def read_folder(folder: Path) -> dict[str, list[Record]]:
    """All files of a folder."""
    return {path.stem: read(path) for path in sorted(folder.glob("*.jsonl"))}


def device_of(record: Record) -> str:
    """Where it was measured."""
    return str(record["environment"]["device"])


def last_runs(records: list[Record]) -> list[Record]:
    """For each device the records of its last run, in the order they were written."""
    last: dict[str, str] = {}
    for record in records:
        device = device_of(record)
        last[device] = max(last.get(device, ""), record["date"])
    return [r for r in records if r["date"] == last[device_of(r)]]


def latest(records: list[Record]) -> list[Record]:
    """For each device what is known of its last commit: runs that ran out of time add up.

    Of two records on one subject the later one counts, unless it only says that it was skipped.
    Where files differed from the commit, only the last run counts.
    """
    last: dict[str, Record] = {}
    for record in records:
        device = device_of(record)
        if device not in last or record["date"] >= last[device]["date"]:
            last[device] = record
    chosen: dict[str, Record] = {}
    for record in sorted(records, key=lambda r: str(r["date"])):
        newest = last[device_of(record)]
        commit = newest["environment"].get("commit", "unknown")
        same = record["environment"].get("commit") == commit
        exact = commit != "unknown" and not commit.endswith("-dirty")
        if record["date"] != newest["date"] and not (same and exact):
            continue
        key = json.dumps([device_of(record), record["subject"]], sort_keys=True)
        if key not in chosen or "skipped" not in record:
            chosen[key] = record
    return list(chosen.values())
