"""Ctrl-C and SIGTERM end a run after the step in hand, not in the middle of it."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any


class StopRequest:
    """While entered, the first signal only sets `requested`; a second one interrupts at once.

    Args:
        speaks: say so on standard error (of several processes one does, or who started them).
    """

    def __init__(self, speaks: bool = True) -> None:
        self.requested = False
        self._speaks = speaks
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        if self._speaks:
            say_stopping()


def say_stopping() -> None:
    """Tells the user that the first signal was seen; for signal handlers."""
    # Not through a stream: the signal may have come in the middle of a print, and Python's
    # streams cannot be entered twice.
    os.write(2, b"\nstopping after this step (again: at once, without a checkpoint)\n")
