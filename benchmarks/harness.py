"""What every benchmark shares: where it ran, taking turns, and the files that results go to."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from source import ROOT, commit

SCHEMA = 1


def chosen_results() -> Path:
    """FLOAT8_BENCHMARK_RESULTS: a folder, or one .jsonl file for the figures of all benchmarks."""
    return Path(os.environ.get("FLOAT8_BENCHMARK_RESULTS", ROOT / "benchmarks" / "results"))


def results_file(name: str) -> Path:
    """Where the figures of a benchmark go."""
    chosen = chosen_results()
    return chosen if chosen.suffix == ".jsonl" else chosen / f"{name}.jsonl"


#: Where pictures go.
RESULTS = results_file("x").parent


def device_name() -> str:
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def environment() -> dict[str, Any]:
    """Everything that a figure needs beside it to mean something."""
    import float8

    if os.environ.get("FLOAT8_BENCHMARK_DEVICE") == "cuda":
        from gpu.machine import facts

        where = facts()
    else:
        where = {"device": device_name()}
    if os.environ.get("FLOAT8_BENCHMARK_REHEARSAL") == "1":
        where["rehearsal"] = True  # these figures mean nothing, and no table takes them
    return {
        **where,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        "torch": torch.__version__,
        "float8": float8.__version__,
        "python": platform.python_version(),
        "commit": commit(),
    }


@dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    median: float
    p25: float
    p75: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """The spread of at least two values."""
        p25, median, p75 = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, p25, p75)

    def as_dict(self) -> dict[str, float]:
        """Five digits are more than the machine gives."""
        return {name: float(f"{value:.5g}") for name, value in vars(self).items()}


class Timings:
    """Seconds of several candidates that took turns."""

    def __init__(self, seconds: Mapping[str, list[float]]) -> None:
        self._seconds = seconds

    def __getitem__(self, name: str) -> Spread:
        return Spread.of(self._seconds[name])

    def ratio(self, numerator: str, denominator: str) -> Spread:
        """The quotient of neighbours in time, so that a slow moment of the machine cancels."""
        pairs = zip(self._seconds[numerator], self._seconds[denominator], strict=True)
        return Spread.of([a / b for a, b in pairs])

    def as_dict(self) -> dict[str, dict[str, float]]:
        """The spread of each candidate."""
        return {name: self[name].as_dict() for name in self._seconds}


# What glibc gives back to the system after a step, the next one pays for with page faults, more or
# fewer by the order of a loop's last lines: 1 to 3% of a step of 80 ms.
MALLOC = {"MALLOC_TRIM_THRESHOLD_": str(1 << 34), "MALLOC_MMAP_THRESHOLD_": str(1 << 32)}


def keep_freed_memory() -> None:
    """Starts the program again with a malloc that keeps what it has; call it first."""
    if MALLOC.items() - os.environ.items():  # malloc reads them when a process starts
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **MALLOC})


def alternate(
    candidates: Mapping[str, Callable[[], object]],
    rounds: int,
    warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> Timings:
    """Times the candidates in turn, A B C A B C ..., in this process.

    A candidate that returns a float reports its own seconds (the part that counts). What runs on
    one thread may be timed by that thread's clock (time.thread_time): it stands still while other
    programs have the core.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(warmup + rounds):
        for name, run in candidates.items():
            start = clock()
            own = run()
            elapsed = own if isinstance(own, float) else clock() - start
            if turn >= warmup:
                seconds[name].append(elapsed)
    return Timings(seconds)


class Results:
    """Appends to results/<name>.jsonl: one line for each subject, never overwritten."""

    def __init__(self, name: str, environment_: Mapping[str, Any] | None = None) -> None:
        self._name = name
        self._started = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._environment = environment() if environment_ is None else environment_

    @property
    def device(self) -> str:
        """Where this runs, as records name it."""
        return str(self._environment["device"])

    def add(self, line: str, subject: dict[str, Any], **figures: Any) -> None:
        """Prints `line` and writes the subject with its figures."""
        print(line, flush=True)
        record = {"schema": SCHEMA, "benchmark": self._name, "date": self._started}
        record |= {"subject": subject, **figures, "environment": self._environment}
        path = results_file(self._name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
