"""The subjects of one benchmark, the most important first, within its time and the GPU's memory.

Each subject leaves one line: its figures, or why there are none (`skipped`), or what went wrong
(`error`, which fails the benchmark). One subject's trouble does not stop the others.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
from harness import Results, environment

from gpu.machine import GIB, clocks, unfit
from gpu.timing import Device

Figures = dict[str, Any]


class WrongResultError(Exception):
    """A candidate computes something else: it is not timed."""


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options of every benchmark."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--budget", type=float, default=3600, help="seconds")
    made.add_argument(
        "--smoke", action="store_true", help="small shapes on the CPU: tests the script alone"
    )
    return made


class Cases:
    """Runs subjects and writes their lines.

    Args:
        name: the benchmark's.
        arguments: of the command line, see `parser`.
    """

    def __init__(self, name: str, arguments: argparse.Namespace) -> None:
        self._end = time.monotonic() + arguments.budget
        self.smoke: bool = arguments.smoke
        if self.smoke:
            os.environ.pop("FLOAT8_BENCHMARK_DEVICE", None)
            os.environ["FLOAT8_BENCHMARK_REHEARSAL"] = "1"
            if "FLOAT8_BENCHMARK_RESULTS" not in os.environ:  # figures of a rehearsal stay out
                os.environ["FLOAT8_BENCHMARK_RESULTS"] = tempfile.mkdtemp(prefix="float8-smoke-")
        else:
            if why := unfit():
                raise SystemExit(f"[{name}] needs a GPU with FP8: {why}; --smoke rehearses")
            os.environ["FLOAT8_BENCHMARK_DEVICE"] = "cuda"
        self.device = Device(self.smoke)
        self.environment: Figures = environment()
        self._results = Results(name, self.environment)
        self._longest: dict[str, float] = {}
        self.failed = 0

    @property
    def device_name(self) -> str:
        """As records name it."""
        return str(self.environment["device"])

    def run(
        self,
        subject: dict[str, Any],
        measure: Callable[[], tuple[str, Figures]],
        *,
        kind: str = "",
        seconds: float = 1.0,
        needs_bytes: float = 0,
    ) -> None:
        """Measures one subject, or says why not.

        Args:
            subject: what is measured.
            measure: returns the line to print and the figures.
            kind: subjects of one kind take about the same time.
            seconds: how long the first one of its kind is expected to take.
            needs_bytes: memory, roughly.
        """
        title = " ".join(str(value) for value in subject.values())
        left = self._end - time.monotonic()
        expected = self._longest.get(kind, seconds)
        if left < expected and not self.smoke:
            self.skip(subject, f"out of time: {expected:.0f} s needed, {max(left, 0):.0f} s left")
            return
        gc.collect()
        free = self.device.free_bytes()
        if needs_bytes > free:
            need, have = needs_bytes / GIB, free / GIB
            self.skip(subject, f"out of memory: about {need:.1f} GiB needed, {have:.1f} GiB free")
            return
        started = time.monotonic()
        try:
            line, figures = measure()
        except torch.OutOfMemoryError as error:
            self.skip(subject, f"out of memory: {str(error).splitlines()[0]}")
        except Exception as error:  # the next subject may run all the same
            self.failed += 1
            text = f"{type(error).__name__}: {error}"[:1000]
            self._results.add(f"{title} | ERROR {text.splitlines()[0]}", subject, error=text)
        else:
            figures["clocks"] = {} if self.smoke else clocks()
            self._results.add(line, subject, **figures)
        spent = time.monotonic() - started
        self._longest[kind] = max(self._longest.get(kind, 0.0), spent)

    def skip(self, subject: dict[str, Any], why: str) -> None:
        """Writes that there are no figures, and why."""
        title = " ".join(str(value) for value in subject.values())
        self._results.add(f"{title} | skipped, {why}", subject, skipped=why)

    def exit_status(self) -> int:
        """1 where a subject went wrong."""
        return 1 if self.failed else 0
