"""Runs this folder's programs in build/clients and judges what they print; run.sh starts it.

    runs.py                # all of them; adds to benchmarks/results/clients.jsonl
    runs.py 'automodel-2'  # those whose names match, beside what earlier runs left; records nothing

The exit status is 1 where a program failed, trained with other layers than it was to, or its losses
break the rule (rule.py).
"""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import sys
from typing import Any

from rule import CLASSES, Verdict, complaints, judge
from settings import BIN, CLIENTS, HERE, LAST, SEEDS, SETTINGS, STEPS, Setting

ROOT = CLIENTS.parents[1]
RESULTS = CLIENTS / "results"
SECONDS = 3600  # after which a program hangs
PACKAGES = ("nemo-automodel", "accelerate", "torchao", "transformers")

Runs = dict[str, list[dict[str, Any]]]  # by the program's layers, by seed


def run(name: str, command: list[str]) -> list[str]:
    """Runs a program and keeps its lines and its log; returns what went wrong."""
    print(f"running {name}", flush=True)
    log = RESULTS / f"{name}.log"
    with log.open("w+", encoding="utf-8") as file:
        process = subprocess.Popen(
            command, cwd=CLIENTS, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            status = str(process.wait(SECONDS))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            status = f"none after {SECONDS} s"
    lines = re.findall(r"^RESULT (.*)$", log.read_text(encoding="utf-8"), re.MULTILINE)
    (RESULTS / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return [] if status == "0" else [f"{name}: exit status {status}, see {log}"]


def read(setting: Setting) -> Runs:
    """What the three programs of a setting printed."""
    paths = {layers: RESULTS / f"{setting.name(layers)}.jsonl" for layers in CLASSES}
    return {
        layers: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for layers, path in paths.items()
        if path.exists()
    }


def wrong_with(setting: Setting, runs: Runs) -> list[str]:
    """What forbids to compare the losses."""
    found = []
    for layers in CLASSES:
        name = setting.name(layers)
        seeds = [one["seed"] for one in runs.get(layers, [])]
        if seeds != SEEDS:
            found.append(f"{name}: a line for each of the seeds {SEEDS} was expected, got {seeds}")
        for one in runs.get(layers, []):
            found += [f"{name}: {text}" for text in complaints(layers, one, setting.expected)]
    return found


def last(one: dict[str, Any]) -> float:
    """The mean loss of a run's last steps."""
    return statistics.fmean(one["losses"][-LAST:])


def line_of(setting: Setting, runs: Runs, verdict: Verdict) -> str:
    """A line for people."""
    losses = " / ".join(f"{statistics.fmean(map(last, runs[layers])):.4f}" for layers in CLASSES)
    verdict_text = "BROKEN" if verdict.broken else "holds"
    return (
        f"{setting.client:10} | {setting.processes} | {setting.recipe:25} | loss {losses} | "
        f"gap torchao {verdict.torchao:.5f} ours {verdict.ours:.5f} of {verdict.allowed:.5f} | "
        f"{setting.expected.products} products a step | {verdict_text}"
    )


def versions() -> dict[str, str]:
    """Of the clients' environment."""
    code = f"from importlib.metadata import version; print(*map(version, {PACKAGES}))"
    found = subprocess.check_output([BIN / "python", "-c", code], text=True).split()
    return dict(zip(PACKAGES, found, strict=True))


def record(judged: list[tuple[Setting, Runs, Verdict]]) -> None:
    """Adds to the results, and writes them into the README's table."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from harness import Results

    results, packages = Results("clients"), versions()
    for setting, runs, verdict in judged:
        results.add(
            line_of(setting, runs, verdict),
            {
                "client": setting.client,
                "processes": setting.processes,
                "recipe": setting.recipe,
                "seeds": SEEDS,
                "steps": STEPS,
            },
            last={layers: [round(last(one), 5) for one in own] for layers, own in runs.items()},
            gap={
                "torchao": [round(gap, 6) for gap in verdict.gaps_torchao],
                "ours": [round(gap, 6) for gap in verdict.gaps_ours],
                "allowed": round(verdict.allowed, 6),
            },
            start={
                "torchao": round(verdict.start_torchao, 6),
                "ours": round(verdict.start_ours, 6),
                "allowed": round(verdict.start_allowed, 6),
            },
            products=setting.expected.products,
            holds=not verdict.broken,
            packages=packages,
        )
    subprocess.run([sys.executable, ROOT / "benchmarks" / "report.py"], check=True)


def main(pattern: str) -> int:
    """Runs, judges, records."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    if not pattern:
        for path in RESULTS.iterdir():
            path.unlink()
    programs = {s.name(layers): s.command(layers) for s in SETTINGS for layers in CLASSES}
    wrong = run(
        "models", [str(BIN / "python"), str(HERE / "tiny_llama.py"), "models", *map(str, SEEDS)]
    )
    for name, command in programs.items():
        if re.search(pattern, name):
            wrong += run(name, command)
    judged = []
    for setting in SETTINGS:
        runs = read(setting)
        if pattern and len(runs) < len(CLASSES):
            continue  # not all of it was asked for yet
        problems = wrong_with(setting, runs)
        if not problems:
            curves = {layers: [one["losses"] for one in own] for layers, own in runs.items()}
            verdict = judge(**curves)
            judged.append((setting, runs, verdict))
            problems = [f"{setting.name('ours')}: {text}" for text in verdict.broken]
        wrong += problems
    if pattern:
        print(*(line_of(*parts) for parts in judged), sep="\n")
    else:
        record(judged)
    print(*dict.fromkeys(wrong), sep="\n", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
