"""Writes the tables and pictures of benchmarks/README.md and README.md from results/*.jsonl.

A region between `<!-- benchmark:NAME:begin -->` and `<!-- benchmark:NAME:end -->` is replaced by
the table NAME, from the last run of each benchmark on each device; running it again changes
nothing. `--check` changes nothing at all, and fails where a region is not what the files say.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from tables import TABLES

FOLDER = Path(__file__).resolve().parent
DOCUMENTS = (FOLDER / "README.md", FOLDER.parent / "README.md")
SCHEMA = 1
REGION = re.compile(
    r"(<!-- benchmark:(?P<name>[a-z_]+):begin -->\n).*?(<!-- benchmark:(?P=name):end -->)",
    re.DOTALL,
)

Record = dict[str, Any]


def read(path: Path) -> list[Record]:
    """The records of one file, if there is one; what is cut off or of another schema is named."""
    records: list[Record] = []
    if not path.exists():
        return records
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            print(f"{path.name}:{number}: not JSON (cut off?), left out", file=sys.stderr)
            continue
        if not isinstance(record, dict) or record.get("schema") != SCHEMA:
            print(f"{path.name}:{number}: not of schema {SCHEMA}, left out", file=sys.stderr)
            continue
        records.append(record)
    return records


def last_runs(records: list[Record]) -> list[Record]:
    """For each device the records of its last run, in the order they were written."""
    last: dict[str, str] = {}
    for record in records:
        device = record["environment"]["device"]
        last[device] = max(last.get(device, ""), record["date"])
    return [r for r in records if r["date"] == last[r["environment"]["device"]]]


def provenance(record: Record) -> str:
    """The line under a table: where its figures come from."""
    e = record["environment"]
    threads = f"{e['threads']} thread" + ("s" if e["threads"] != 1 else "")
    return (
        f"{e['device']}, {threads}, torch {e['torch']}, commit {e['commit']}, "
        f"{record['date'][:10]}, load {e['load']}; `benchmarks/results/{record['benchmark']}.jsonl`"
    )


def table(rows: list[list[str]]) -> str:
    """Markdown: the first row is the head."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def render(results: Path) -> dict[str, str]:
    """The text of every region that a results file stands behind."""
    regions = {}
    for name, (source, rows) in TABLES.items():
        records = last_runs(read(results / f"{source}.jsonl"))
        parts = []
        for device in dict.fromkeys(r["environment"]["device"] for r in records):
            own = [r for r in records if r["environment"]["device"] == device]
            parts.append(f"{table(rows(own))}\n\n{provenance(own[0])}\n")
        regions[name] = "\n".join(parts) if parts else "Not measured yet.\n"
    return regions


def main() -> int:
    """Renders, and writes or compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--results", type=Path, default=FOLDER / "results")
    parser.add_argument("documents", nargs="*", type=Path, default=DOCUMENTS)
    arguments = parser.parse_args()
    regions = render(arguments.results)
    stale = []
    for path in arguments.documents:
        old = path.read_text(encoding="utf-8")
        unknown = {match["name"] for match in REGION.finditer(old)} - regions.keys()
        if unknown:
            print(f"{path}: no table named {', '.join(sorted(unknown))}", file=sys.stderr)
            return 1
        new = REGION.sub(lambda match: match[1] + regions[match["name"]] + match[3], old)
        if new != old:
            stale.append(path)
            if not arguments.check:
                path.write_text(new, encoding="utf-8")
    if arguments.check and stale:
        print(
            f"not what the results say: {', '.join(map(str, stale))}; run make bench or report.py"
        )
        return 1
    if not arguments.check:
        from picture import draw

        draw(last_runs(read(arguments.results / "layer.jsonl")), FOLDER / "results" / "layer.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
