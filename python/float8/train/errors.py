"""What the training command raises when the cause lies outside of it."""

from __future__ import annotations


class TrainError(RuntimeError):
    """A failure with a known cause; its text is one clear line for the user."""


class RunStoppedError(Exception):
    """The user asked the run to stop; its text says where the run can go on from."""


class WorkerError(Exception):
    """One of several processes failed; its text is what that process would have printed."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status
