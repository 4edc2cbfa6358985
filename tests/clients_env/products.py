"""Counts how often float8's product runs, and prints what a program found."""

from __future__ import annotations

import json
from typing import Any

from torch.profiler import ProfilerActivity, profile


class Products:
    """Counts in a run's first and last step: reading the events of all takes minutes.

    Args:
        steps: how many the run has.
    """

    def __init__(self, steps: int) -> None:
        self.counts: list[int] = []
        self._left = steps
        self._profiler = self._started()

    def step(self) -> None:
        """Is called after each step."""
        self._left -= 1
        if self._profiler is not None:
            self._profiler.stop()
            events = self._profiler.events()
            self.counts.append(sum(event.name == "float8::scaled_mm" for event in events))
        self._profiler = self._started() if self._left == 1 else None

    @staticmethod
    def _started() -> profile:
        profiler = profile(activities=[ProfilerActivity.CPU], acc_events=True)
        profiler.start()
        return profiler


def print_result(found: dict[str, Any]) -> None:
    """Prints the line that runs.py reads: in one write, on a line of its own.

    Other processes write to the same file, and torchrun's do not buffer.
    """
    print(f"\nRESULT {json.dumps(found)}\n", end="", flush=True)
