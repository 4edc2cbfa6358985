"""One step of `make gpu`: a program with a limit of its own, shown and logged as it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

OK, FAILED, STOPPED = "ok", "failed", "stopped"
OUT_OF_TIME, LEFT_OUT = "out of time", "left out"
LEAST_SECONDS = 8.0  # less is not worth a start
GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class Step:
    """What runs, and for how long at most.

    Args:
        name: for records and `--only`.
        command: `{budget}` becomes the seconds that it may take.
        budget: seconds.
        needs: steps that must have gone well.
        stretches: takes what the steps after it can spare.
        left_out: why it cannot run here; empty where it can.
    """

    name: str
    command: tuple[str, ...]
    budget: float
    needs: tuple[str, ...] = ()
    stretches: bool = False
    left_out: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a step ended."""

    status: str
    seconds: float = 0.0
    why: str = ""


def allowance(steps: list[Step], index: int, left: float) -> float:
    """Seconds that a step may take: its budget, or more where the rest leaves some over."""
    step = steps[index]
    later = sum(other.budget for other in steps[index + 1 :])
    spare = left - later - step.budget
    return min(left, step.budget + (max(spare, 0.0) if step.stretches else 0.0))


def run(step: Step, seconds: float, environ: Mapping[str, str], folder: Path, log: Path) -> Outcome:
    """Runs a step in `folder`; after `seconds` it and all that it started is stopped."""
    budget = max(seconds - GRACE_SECONDS, 1.0)  # it should end by itself
    command = [part.replace("{budget}", f"{budget:.0f}") for part in step.command]
    started = time.monotonic()
    try:
        child = subprocess.Popen(
            command, cwd=folder, env=dict(environ), text=True, errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return Outcome(FAILED, 0.0, str(error))
    last = ""

    def copy_output() -> None:
        nonlocal last
        assert child.stdout is not None
        with log.open("a", encoding="utf-8", buffering=1) as file:  # whole lines, at once
            for line in child.stdout:
                print(line, end="", flush=True)
                file.write(line)
                last = line.strip() or last

    reader = threading.Thread(target=copy_output, daemon=True)
    reader.start()
    try:
        status = child.wait(seconds)
        outcome = OK if status == 0 else FAILED
        why = "" if status == 0 else f"exit status {status}: {last[:300]}"
    except subprocess.TimeoutExpired:
        outcome, why = STOPPED, f"out of time after {seconds:.0f} s: {last[:300]}"
    finally:
        _stop(child)
    reader.join(GRACE_SECONDS)
    return Outcome(outcome, round(time.monotonic() - started, 1), why)


def _stop(child: subprocess.Popen[str]) -> None:
    """Ends what is left of the step's session."""
    for which in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, which)
        except ProcessLookupError:
            return
        try:
            child.wait(GRACE_SECONDS / 2)
        except subprocess.TimeoutExpired:
            continue
        if which == signal.SIGTERM:
            time.sleep(0.1)
