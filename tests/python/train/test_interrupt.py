"""Ctrl-C in the middle of a print: Python's streams cannot be entered twice."""

import io
import os
import signal
import sys

import pytest

from float8.train.interrupt import StopRequest


class Interrupted(io.RawIOBase):
    """A file whose write is interrupted by Ctrl-C."""

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        return len(data)


def test_ctrl_c_during_a_print_only_asks_to_stop(monkeypatch, capfd):
    stream = io.TextIOWrapper(io.BufferedWriter(Interrupted()), write_through=True)
    with StopRequest() as stop, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        print("step 1", flush=True)
    assert stop.requested
    assert "stopping after this step" in capfd.readouterr().err


def test_second_ctrl_c_interrupts_at_once():
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
