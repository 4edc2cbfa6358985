"""Counts how often float8's product runs."""

from __future__ import annotations

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
