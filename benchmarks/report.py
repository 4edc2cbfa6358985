"""Writes the tables and pictures of benchmarks/README.md and README.md from results/*.jsonl.

A region between `<!-- benchmark:NAME:begin -->` and `<!-- benchmark:NAME:end -->` is replaced by
the table NAME, from the last run of each benchmark on each device (of what runs on a GPU: from all
runs on its last commit); running it again changes nothing. `--check` changes nothing at all, and
fails where a region is not what the files say.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from gpu.claimed import claims_section
from gpu.pictures import PICTURES
from gpu.tables import GPU_TABLES, goals_section
from records import Record, device_of, last_runs, latest, read_folder
from tables import TABLES, markdown

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
DOCUMENTS = (
    FOLDER / "README.md",
    ROOT / "README.md",
    FOLDER / "UNVERIFIED.md",
    ROOT / "tests" / "clients_env" / "README.md",
)
REGION = re.compile(
    r"(<!-- benchmark:(?P<name>[a-z_]+):begin -->\n).*?(<!-- benchmark:(?P=name):end -->)",
    re.DOTALL,
)


def provenance(record: Record) -> str:
    """The line under a table: where its figures come from."""
    e = record["environment"]
    if "capability" in e:
        return gpu_provenance(record)
    parts = [e["device"]]
    if "threads" in e:  # not where only a step is recorded
        parts.append(f"{e['threads']} thread" + ("s" if e["threads"] != 1 else ""))
        parts.append(f"torch {e['torch']}")
    parts += [f"commit {e['commit']}", record["date"][:10]]
    if "load" in e:
        parts.append(f"load {e['load']}")
    return f"{', '.join(parts)}; `benchmarks/results/{record['benchmark']}.jsonl`"


def gpu_provenance(record: Record) -> str:
    """As above, for a GPU."""
    e = record["environment"]
    versions = [
        f"{what} {e[name]}"
        for name, what in (("driver", "driver"), ("cuda", "CUDA"), ("cublaslt", "cuBLASLt"))
        if e.get(name)
    ]
    parts = [e["device"], f"torch {e.get('torch', '?')}", *versions, f"commit {e['commit']}"]
    file = f"`benchmarks/results/{record['benchmark']}.jsonl`"
    return f"{', '.join(parts)}, {record['date'][:10]}; {file}"


def left_out(records: list[Record]) -> str:
    """A line on what has no figures, and why; empty where there is nothing to say."""
    reasons: dict[str, int] = {}
    for record in records:
        for kind in ("skipped", "error"):
            if kind in record:
                why = str(record[kind]).split(":")[0] if kind == "skipped" else "went wrong"
                reasons[why] = reasons.get(why, 0) + 1
    missing = sorted({str(record["missing"]) for record in records if record.get("missing")})
    parts = [f"{why} ({count})" for why, count in reasons.items()] + missing
    return f"Without figures: {'; '.join(parts)}.\n\n" if parts else ""


def sections(found: Mapping[str, list[Record]]) -> dict[str, str]:
    """The text of every region, from the records of each benchmark."""
    regions = {}
    for name, (source, rows) in {**TABLES, **GPU_TABLES}.items():
        records = found.get(source, [])
        chosen = latest(records) if source.startswith("gpu_") else last_runs(records)
        parts = []
        for device in dict.fromkeys(map(device_of, chosen)):
            own = [r for r in chosen if device_of(r) == device]
            measured = [r for r in own if "skipped" not in r and "error" not in r]
            text = f"{markdown(rows(measured))}\n\n" if measured else ""
            parts.append(f"{text}{left_out(own)}{provenance(own[-1])}\n")
        if parts and name in PICTURES:
            parts.append(f"![{PICTURES[name].title}]({{results}}/{name}.svg)\n")
        regions[name] = "\n".join(parts) if parts else "Not measured yet.\n"
    goals = goals_section(found)
    picture = regions["gpu_layers"].partition("![")[1:]
    summary = f"{goals}\n{''.join(picture)}" if picture[1] else goals
    regions |= {"gpu_goals": goals, "gpu_summary": summary}
    return regions | {"unverified": claims_section(found)}


def main() -> int:
    """Renders, and writes or compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--results", type=Path, default=FOLDER / "results")
    parser.add_argument("documents", nargs="*", type=Path, default=DOCUMENTS)
    arguments = parser.parse_args()
    found = read_folder(arguments.results)
    regions = sections(found)
    stale = []
    for path in arguments.documents:
        old = path.read_text(encoding="utf-8")
        unknown = {match["name"] for match in REGION.finditer(old)} - regions.keys()
        if unknown:
            print(f"{path}: no table named {', '.join(sorted(unknown))}", file=sys.stderr)
            return 1
        where = os.path.relpath(arguments.results.resolve(), path.resolve().parent)
        texts = {name: text.replace("{results}", where) for name, text in regions.items()}
        new = REGION.sub(partial(replacement, texts), old)
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
        draw_all(found, arguments.results)
    return 0


def replacement(texts: Mapping[str, str], match: re.Match[str]) -> str:
    """A region with its text of today."""
    return match[1] + texts[match["name"]] + match[3]


def draw_all(found: Mapping[str, list[Record]], results: Path) -> None:
    """Every picture that has figures."""
    from picture import draw

    draw(last_runs(found.get("layer", [])), results / "layer.svg")
    for name, picture in PICTURES.items():
        source, _ = GPU_TABLES[name]
        records = [r for r in latest(found.get(source, [])) if "seconds" in r]
        if records:
            picture.draw(records, results / f"{name}.svg")


if __name__ == "__main__":
    sys.exit(main())
