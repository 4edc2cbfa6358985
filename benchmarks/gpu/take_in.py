"""`python -m gpu.take_in FOLDER`: adds a run's results.jsonl to benchmarks/results, then reports.

Nothing is overwritten: lines are appended, each to the file of its benchmark. Left out, and said:
lines that are cut off or of another version, rehearsals, and lines that are there already.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from records import parse

BENCHMARKS = Path(__file__).resolve().parent.parent
NAME = re.compile(r"[a-z][a-z0-9_]*")


def sort_out(text: str) -> tuple[dict[str, list[str]], list[str]]:
    """Lines to take for each benchmark, and what is left out and why."""
    taken: dict[str, list[str]] = {}
    left_out = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        record, why = parse(line)
        if record is not None and record["environment"].get("rehearsal"):
            record, why = None, "a rehearsal's"
        name = "" if record is None else str(record["benchmark"])
        if record is not None and not NAME.fullmatch(name):
            record, why = None, f"no benchmark is named {json.dumps(name)}"
        if record is None:
            left_out.append(f"line {number}: {why}, left out")
        else:
            taken.setdefault(name, []).append(line.strip())
    return taken, left_out


def append(path: Path, lines: list[str]) -> int:
    """Adds the lines that a file does not have; returns how many."""
    old = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    there = set(old.splitlines())
    new = [line for line in dict.fromkeys(lines) if line not in there]
    if not new:
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        if old and not old.endswith("\n"):  # the last line was cut off: it must not swallow ours
            file.write("\n")
        file.write("\n".join(new) + "\n")
    return len(new)


def main() -> int:
    """Returns 0 where something was taken in, or all of it was there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="what make gpu wrote, or its results.jsonl")
    parser.add_argument("--results", type=Path, default=BENCHMARKS / "results")
    arguments = parser.parse_args()
    source = arguments.folder
    source = source / "results.jsonl" if source.is_dir() else source
    if not source.is_file():
        print(f"[take_in] needs a folder with results.jsonl, got {arguments.folder}")
        return 1
    taken, left_out = sort_out(source.read_text(encoding="utf-8", errors="replace"))
    for sentence in left_out:
        print(sentence)
    if not taken:
        print(f"[take_in] nothing to take in from {source}")
        return 1
    added: Counter[str] = Counter()
    for name, lines in taken.items():
        added[name] = append(arguments.results / f"{name}.jsonl", lines)
        there = len(lines) - added[name]
        print(f"{name}: {added[name]} added" + (f", {there} there already" if there else ""))
    if arguments.results == BENCHMARKS / "results":
        return subprocess.run(
            [sys.executable, str(BENCHMARKS / "report.py")], check=False
        ).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
