"""`make gpu`: builds, tests and measures on a GPU, without a network, in under ten minutes.

Needs the folder .gpu that `make gpu-stage` fills, and the machine's own torch, CUDA compiler and
CMake. Results: results.jsonl (every figure), summary.md, log.txt, environment.txt and
gemm_choices.txt. An earlier run's are added to.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from gpu.goals import DEVICES, applies_to
from gpu.plan import REHEARSAL_ARCHITECTURE, REHEARSAL_SECONDS, TOTAL_SECONDS, choose, plan
from gpu.steps import LEAST_SECONDS, LEFT_OUT, OK, OUT_OF_TIME, Outcome, Step, allowance, run

BENCHMARKS = Path(__file__).resolve().parent.parent
ROOT = BENCHMARKS.parent
FOLDER = ROOT / "build" / "gpu"
LAST_SECONDS = 12.0  # for the summary
FACTS = (["date", "-u"], ["nvidia-smi"], ["nvcc", "--version"], ["cmake", "--version"])


def environ(out: Path, rehearse: bool) -> dict[str, str]:
    """The variables of every step."""
    paths = [BENCHMARKS, FOLDER / "package", FOLDER / "site"]
    chosen = {
        "PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONUNBUFFERED": "1",
        "FLOAT8_BENCHMARK_RESULTS": str(out / "results.jsonl"),
        "TORCHINDUCTOR_CACHE_DIR": str(FOLDER / "inductor"),
    }
    if rehearse:
        chosen["CUDA_ARCHITECTURE"] = REHEARSAL_ARCHITECTURE
        chosen["FLOAT8_BENCHMARK_REHEARSAL"] = "1"
    else:
        chosen |= {"FLOAT8_REQUIRE_CUDA": "1", "FLOAT8_BENCHMARK_DEVICE": "cuda"}
    return {**os.environ, **chosen}


def machine(variables: dict[str, str], rehearse: bool) -> dict[str, Any]:
    """What records say of the machine; ends in words where there is no GPU to measure on."""
    if rehearse:
        return {"device": "a rehearsal", "rehearsal": True}
    command = [sys.executable, "-m", "gpu.machine"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["torch did not start"])[-1]
        raise SystemExit(f"{last}; to rehearse without one: make gpu-rehearse")
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


def write_environment(path: Path, variables: dict[str, str]) -> None:
    """What else may be asked about the machine one day."""
    with path.open("a", encoding="utf-8") as file:
        for command in (
            *FACTS,
            [sys.executable, "-m", "pip", "list", "--disable-pip-version-check"],
        ):
            try:
                done = subprocess.run(
                    command, env=variables, capture_output=True, text=True, timeout=30, check=False
                )
                text = done.stdout
            except (OSError, subprocess.SubprocessError) as error:
                text = f"{error}\n"
            file.write(f"$ {' '.join(command)}\n{text}\n")


class Recorder:
    """Writes how each step ended; no import of the library, which is not built at first."""

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        sys.path.insert(0, str(BENCHMARKS))
        from source import commit

        self._path = path
        self._environment = {**facts, "commit": commit()}
        self._date = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())

    def add(self, step: Step, outcome: Outcome) -> None:
        """One line."""
        record = {
            "schema": 1,
            "benchmark": "gpu_steps",
            "date": self._date,
            "subject": {"step": step.name},
            **vars(outcome),
            "environment": self._environment,
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def run_all(
    steps: list[Step], end: float, variables: dict[str, str], out: Path, recorder: Recorder
) -> dict[str, Outcome]:
    """Runs the steps one after the other, within the time that is left."""
    outcomes: dict[str, Outcome] = {}
    for index, step in enumerate(steps):
        left = end - LAST_SECONDS - time.monotonic()
        bad = [name for name in step.needs if name in outcomes and outcomes[name].status != OK]
        if bad:
            outcome = Outcome(LEFT_OUT, why=f"{', '.join(bad)} did not go well")
        elif step.left_out:
            outcome = Outcome(LEFT_OUT, why=step.left_out)
        elif left < LEAST_SECONDS:
            outcome = Outcome(OUT_OF_TIME, why=f"{max(left, 0):.0f} s were left")
        else:
            seconds = allowance(steps, index, left)
            print(f"== {step.name}: at most {seconds:.0f} of {left:.0f} s", flush=True)
            outcome = run(step, seconds, variables, ROOT, out / "log.txt")
        outcomes[step.name] = outcome
        print(f"== {step.name}: {outcome.status}, {outcome.seconds} s {outcome.why}", flush=True)
        recorder.add(step, outcome)
    return outcomes


def main() -> int:
    """Returns 0 where every step went well."""
    begun = time.monotonic()
    # So that a step in progress is stopped too: it has a session of its own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    parser = argparse.ArgumentParser(prog="make gpu", description=__doc__)
    parser.add_argument("--out", type=Path, help="folder for results; $OUT, or build/gpu/results")
    parser.add_argument("--only", nargs="+", default=[], metavar="STEP", help="and the build")
    parser.add_argument("--rehearse", action="store_true", help="on the CPU: small, no figures")
    parser.add_argument("--total", type=float, help=f"seconds; {TOTAL_SECONDS:.0f}")
    arguments = parser.parse_args()
    rehearse: bool = arguments.rehearse
    out = arguments.out or Path(os.environ.get("OUT") or FOLDER / "results")
    out = Path(out).resolve()
    steps = choose(plan(rehearse, out / "gemm_choices.txt", FOLDER / "build"), arguments.only)
    total = arguments.total or (REHEARSAL_SECONDS if rehearse else TOTAL_SECONDS)
    variables = environ(out, rehearse)
    facts = machine(variables, rehearse)
    print(f"on {facts['device']}; results in {out}", flush=True)
    if not rehearse and not applies_to(facts["device"]):
        print(f"goals are set for {' and '.join(DEVICES)}: here figures stand without a verdict")
    out.mkdir(parents=True, exist_ok=True)
    recorder = Recorder(out / "results.jsonl", facts)
    write_environment(out / "environment.txt", variables)
    outcomes = run_all(steps, begun + total, variables, out, recorder)
    command = [sys.executable, "-m", "gpu.summary", str(out / "results.jsonl")]
    text = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    (out / "summary.md").write_text(text.stdout, encoding="utf-8")
    print(text.stdout + text.stderr)
    print(f"results in {out}, after {time.monotonic() - begun:.0f} s")
    asked = [step.name for step in steps if not step.left_out]
    return 0 if all(outcomes[name].status == OK for name in asked) else 1


if __name__ == "__main__":
    sys.exit(main())
