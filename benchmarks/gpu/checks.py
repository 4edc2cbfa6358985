"""Runs the GPU's tests, or compute-sanitizer, and writes a line for each check of claims.py.

    python -m gpu.checks cpp | python | sanitizer

A skip is a failure: FLOAT8_REQUIRE_CUDA=1 promised a GPU. What a program said is read as it comes,
so that a crash fails the test in which it happened, and those before it count.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from harness import Results
from source import ROOT

from gpu.claims import checks

PROGRAM = Path("tests") / "cpp" / "float8_torch_tests"
GPU_TESTS = "Backend/*/Cuda:Backend/*/CudaEmulated"
REHEARSED_TESTS = "Backend/*/Cpu"
GTEST_LINE = re.compile(r"^\[ +(RUN|OK|FAILED|SKIPPED) +\] ([^\s,]+)")
PYTEST_LINE = re.compile(r"^(\S+\.py::.+?) (PASSED|FAILED|SKIPPED|ERROR|XFAIL|XPASS)\b")
PYTEST_STARTED = re.compile(r"^(\S+\.py::\S+)")
PASSED, FAILED, SKIPPED, NOT_RUN = "passed", "failed", "skipped", "not run"
SANITIZED = (
    "Backend/Quantize.PairIsTwoCalls/Cuda:Backend/Quantize.IsAmaxThenScaleThenCast/Cuda:"
    "Backend/ScaledMm.AddsTheBias/Cuda"
)
SANITIZERS = ("memcheck", "racecheck", "synccheck")
SANITIZER_ERROR = 99
MOST_NAMES = 20

Outcomes = dict[str, str]


def parse_gtest(lines: list[str]) -> Outcomes:
    """How each test ended; one that was begun and did not end has failed."""
    found: Outcomes = {}
    ends = {"RUN": FAILED, "OK": PASSED, "FAILED": FAILED, "SKIPPED": SKIPPED}
    for line in lines:
        match = GTEST_LINE.match(line)
        if match and "." in match[2]:  # not the line that counts them
            found[match[2]] = ends[match[1]]
    return found


def parse_pytest(lines: list[str]) -> Outcomes:
    """As above, by the part of the name that follows tests/python/cuda/."""
    found: Outcomes = {}
    for line in lines:
        match = PYTEST_LINE.match(line)
        name = match[1] if match else None
        if match is None and (started := PYTEST_STARTED.match(line)):
            name = started[1]
        if name is None:
            continue
        end = match[2] if match else "STARTED"
        short = name.rsplit("tests/python/cuda/", 1)[-1]
        ended = {"PASSED": PASSED, "SKIPPED": SKIPPED}.get(end, FAILED)
        if match or short not in found:
            found[short] = ended
    return found


def matching(check: str, outcomes: Outcomes) -> Outcomes:
    """The tests that a check stands for."""
    kind, pattern = check.split(":", 1)
    if kind == "cpp":
        return {n: end for n, end in outcomes.items() if fnmatch.fnmatchcase(n, pattern)}
    return {n: end for n, end in outcomes.items() if n == pattern or n.startswith(f"{pattern}[")}


def verdict(outcomes: Outcomes) -> dict[str, Any]:
    """All passed, or what did not."""
    bad = [f"{end}: {name}" for name, end in outcomes.items() if end != PASSED]
    status = NOT_RUN if not outcomes else FAILED if bad else PASSED
    return {
        "status": status,
        "tests": len(outcomes),
        "bad": bad[:MOST_NAMES],
        "bad_count": len(bad),
    }


def run(command: list[str], **more: str) -> tuple[list[str], int]:
    """Runs a program, shows and returns what it says, and its exit status."""
    environ = {**os.environ, **more}
    child = subprocess.Popen(
        command, cwd=ROOT, env=environ, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert child.stdout is not None
    lines = []
    for line in child.stdout:
        print(line, end="", flush=True)
        lines.append(line.rstrip("\n"))
    return lines, child.wait()


class Checks:
    """Writes verdicts."""

    def __init__(self, rehearse: bool) -> None:
        self.rehearse = rehearse
        if rehearse:
            os.environ["FLOAT8_BENCHMARK_REHEARSAL"] = "1"
        self._results = Results("gpu_checks")
        self.bad = 0

    def add(self, check: str, found: dict[str, Any]) -> None:
        """One line."""
        self.bad += found["status"] != PASSED
        line = f"check {check} | {found['status']} | {found.get('tests', 0)} tests"
        self._results.add(line, {"check": check}, **found)

    def suite(self, kind: str, outcomes: Outcomes, status: int) -> None:
        """A line for the whole suite, and one for each check of its kind."""
        whole = verdict(outcomes)
        if status and whole["status"] == PASSED:  # it broke outside of its tests
            whole["status"] = FAILED
        whole["exit_status"] = status
        self.add(kind, whole)
        if self.rehearse:  # the names that claims know are the GPU's
            return
        for check in checks():
            if check.startswith(f"{kind}:"):
                self.add(check, verdict(matching(check, outcomes)))


def cpp(report: Checks, build: Path) -> None:
    """The conformance suite."""
    program = build / PROGRAM
    if not program.exists():
        report.add("cpp", {"status": NOT_RUN, "why": f"no {PROGRAM}: its build failed?"})
        return
    names = REHEARSED_TESTS if report.rehearse else GPU_TESTS
    lines, status = run([str(program), f"--gtest_filter={names}", "--gtest_color=no"])
    report.suite("cpp", parse_gtest(lines), status)


def python(report: Checks) -> None:
    """tests/python/cuda."""
    command = [sys.executable, "-m", "pytest", "-v", "--color=no", "-p", "no:cacheprovider"]
    more = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # the machine's own may be for another pytest
    if report.rehearse:
        more |= {"FLOAT8_REHEARSE_CUDA": "1", "FLOAT8_REQUIRE_CUDA": "0"}
    lines, status = run([*command, "tests/python/cuda"], **more)
    outcomes = parse_pytest(lines)
    if report.rehearse:  # what a CPU cannot rehearse
        outcomes = {name: end for name, end in outcomes.items() if end != SKIPPED}
    report.suite("py", outcomes, status)


def sanitizer(report: Checks, build: Path, seconds: float) -> None:
    """A short list, for each tool; without torch's cache: then each tensor has its own bounds."""
    program = shutil.which("compute-sanitizer")
    end = time.monotonic() + seconds
    for number, tool in enumerate(SANITIZERS):
        check = f"sanitizer:{tool}"
        if report.rehearse or program is None or not (build / PROGRAM).exists():
            why = "a rehearsal" if report.rehearse else "no compute-sanitizer, or no tests"
            report.add(check, {"status": NOT_RUN, "why": why})
            continue
        share = (end - time.monotonic()) / (len(SANITIZERS) - number)
        command = ["timeout", f"{max(share, 1):.0f}", program, f"--tool={tool}"]
        command += [f"--error-exitcode={SANITIZER_ERROR}", str(build / PROGRAM)]
        command += [f"--gtest_filter={SANITIZED}", "--gtest_color=no"]
        lines, status = run(command, PYTORCH_NO_CUDA_MEMORY_CACHING="1")
        found = verdict(parse_gtest(lines))
        if status == SANITIZER_ERROR:
            found["status"] = FAILED
        elif status or not found["tests"]:  # it did not come to an end: no verdict on the kernels
            found["status"] = NOT_RUN
        found |= {"exit_status": status, "why": " / ".join(lines[-3:])[:500]}
        report.add(check, found)


def main() -> int:
    """One of the three."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("suite", choices=["cpp", "python", "sanitizer"])
    made.add_argument("--build", type=Path, default=ROOT / "build" / "gpu" / "build")
    made.add_argument("--rehearse", action="store_true")
    made.add_argument("--budget", type=float, default=600, help="seconds")
    arguments = made.parse_args()
    report = Checks(arguments.rehearse)
    if arguments.suite == "cpp":
        cpp(report, arguments.build)
    elif arguments.suite == "python":
        python(report)
    else:
        sanitizer(report, arguments.build, arguments.budget)
    return 1 if report.bad and not (report.rehearse and arguments.suite == "sanitizer") else 0


if __name__ == "__main__":
    sys.exit(main())
