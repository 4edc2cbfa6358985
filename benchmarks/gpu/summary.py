"""`python -m gpu.summary results.jsonl`: the tables of one run's file, as Markdown."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from records import Record, by_benchmark, parse
from report import sections

HEADINGS = {
    "gpu_steps": "Steps",
    "gpu_checks": "Checks",
    "gpu_goals": "Goals",
    "gpu_layers": "Layers",
    "gpu_gemms": "Products",
    "gpu_casts": "Casts",
    "gpu_step": "Training step",
    "host": "Host time",
    "loss_parity": "Loss parity",
    "gpu_kernels": "Kernels",
    "unverified": "Claims",
}


def records_of(path: Path) -> tuple[list[Record], bool]:
    """The whole records, rehearsed ones too, and whether there are such."""
    records, rehearsed = [], False
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        record, _ = parse(line)
        if record is not None:
            records.append(record)
            rehearsed |= bool(record["environment"].get("rehearsal"))
    return records, rehearsed


def main() -> int:
    """Prints the summary."""
    records, rehearsed = records_of(Path(sys.argv[1]))
    found = by_benchmark(records)
    if rehearsed:
        print("A rehearsal on the CPU: these figures mean nothing.\n")
    regions = sections(found)
    for name, heading in HEADINGS.items():
        if name in regions and (name in found or name in ("gpu_goals", "unverified")):
            text = regions[name].split("![")[0].rstrip()  # no pictures are drawn here
            print(f"## {heading}\n\n{text}\n")
    others = sorted({json.dumps(name) for name in found} - {json.dumps(name) for name in HEADINGS})
    if others:
        print(f"Not shown: {', '.join(others)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
