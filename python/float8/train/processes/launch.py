"""Several processes on one machine, started and watched by torch's own elastic agent.

More machines: start the same command with torchrun or srun on each; their variables are understood.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import signal
import sys
import time
import uuid
from collections.abc import Sequence
from typing import Any

from float8.train.errors import WorkerError
from float8.train.interrupt import say_stopping

_LAUNCHER = "FLOAT8_LAUNCHER"
_PR_SET_PDEATHSIG = 1
# How torch says that another process is gone.
_COMPLAINTS = ("gloo", "Connection", "DistBackendError", "DistNetworkError", "DistStoreError")
_ERROR_FILE = "TORCHELASTIC_ERROR_FILE"


def launch(words: Sequence[str], processes: int) -> None:
    """Runs `float8 <words>` in so many processes and returns when all have succeeded.

    The first Ctrl-C or SIGTERM is passed on to all of them, so that they stop after the step in
    hand; a second one ends them.

    Raises:
        WorkerError: one failed, and the others were stopped; its error who failed first.
    """
    from torch.distributed.elastic.agent.server.api import WorkerSpec
    from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.rendezvous import RendezvousParameters
    from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

    # Its own lines would say in other words what is said here once.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    # Ctrl-C and SIGTERM are handled here: the agent would end the processes within a step.
    os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = "SIGHUP,SIGQUIT"
    rendezvous = RendezvousParameters(
        backend="c10d",
        endpoint="localhost:0",
        run_id=uuid.uuid4().hex,
        min_nodes=1,
        max_nodes=1,
        local_addr="localhost",
    )
    handler = get_rendezvous_handler(rendezvous)
    spec = WorkerSpec(
        role="float8",
        local_world_size=processes,
        entrypoint=sys.executable,
        args=("-m", "float8.cli", *words),
        rdzv_handler=handler,
        max_restarts=0,
        monitor_interval=0.1,
        local_addr="localhost",
    )
    agent = LocalElasticAgent(spec, DefaultLogsSpecs())
    os.environ[_LAUNCHER] = str(os.getpid())
    forwarding = _Forwarding(agent)
    with forwarding:
        try:
            result = agent.run()
        except SignalException as error:
            raise KeyboardInterrupt from error
        finally:
            handler.shutdown()
    if result.is_failed():
        first = _first_error(result.failures)
        # Before training has begun there is nobody who would answer a signal with words.
        if forwarding.seen and "ended by SIG" in str(first):
            raise KeyboardInterrupt
        raise first


class _Forwarding:
    """While entered, the first signal goes on to the workers, and a second one kills them."""

    def __init__(self, agent: Any) -> None:
        self._agent, self.seen = agent, False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._handle)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, _number: int, _frame: object) -> None:
        number = signal.SIGKILL if self.seen else signal.SIGTERM
        if not self.seen:
            say_stopping()
        self.seen = True
        for worker in self._agent.get_worker_group().workers:
            if isinstance(worker.id, int):
                try:
                    os.kill(worker.id, number)
                except ProcessLookupError:
                    continue


def _first_error(failures: dict[int, Any]) -> WorkerError:
    """The error that came first, in the words of the process that failed.

    After it the agent has ended the others, and before that they may have complained about the
    silence of the one that failed. So first come errors of a process's own, then deaths without
    words (by the kernel, or a crash), then complaints, and last those that the agent has ended.
    """
    found: list[tuple[int, float, WorkerError]] = []
    for failure in failures.values():
        try:
            with open(failure.error_file, encoding="utf-8") as file:
                kept = json.load(file)["float8"]
            complaint = any(part in kept["text"] for part in _COMPLAINTS)
            error = WorkerError(kept["text"], kept["status"])
            found.append((2 if complaint else 0, kept["time"], error))
        except (OSError, ValueError, KeyError, TypeError):
            ended = failure.exitcode == -signal.SIGTERM
            found.append((3 if ended else 1, 0.0, _without_words(failure)))
    return min(found, key=lambda each: each[:2])[2]


def _without_words(failure: Any) -> WorkerError:
    what = f"exit status {failure.exitcode}"
    if failure.exitcode < 0:
        name = signal.Signals(-failure.exitcode).name
        what = f"ended by {name}"
        if name == "SIGKILL":  # the kernel's killer leaves no other trace
            what += " (perhaps for want of host memory)"
    return WorkerError(
        f"error on rank {failure.local_rank}: {what}; "
        "the same command with --resume goes on from the last checkpoint",
        1,
    )


def end_with_launcher() -> None:
    """Lets this process stop, after the step in hand, when the one that started it is gone.

    Nobody would watch it any more, and it would keep the run's folder locked.
    """
    if not is_launched():
        return
    launcher = os.environ[_LAUNCHER]
    with contextlib.suppress(OSError, AttributeError):  # only Linux has it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(launcher):
        raise KeyboardInterrupt


def is_launched() -> bool:
    """Whether `launch` started this process: it then speaks to the user about signals.

    The agent sends some of its own, to the processes that are left when one has failed.
    """
    return _LAUNCHER in os.environ and "RANK" in os.environ


def is_worker() -> bool:
    """Whether an agent waits for this process and reads its error file."""
    return _ERROR_FILE in os.environ


def leave_error(status: int, text: str, everywhere: bool, trace: str | None) -> None:
    """Writes the error where the agent looks for it, in its format and with our words beside.

    Args:
        status: the exit status.
        text: one line.
        everywhere: whether each rank has the same error, so that which one it was says nothing.
        trace: torchrun shows it in place of the line.
    """
    rank = os.environ.get("RANK", "0")
    if rank != "0" and not everywhere:
        text = text.replace("error: ", f"error on rank {rank}: ", 1)
    now = time.time()
    more = {"timestamp": str(int(now))} | ({"py_callstack": trace} if trace else {})
    kept = {
        "message": {"message": text, "extraInfo": more},
        "float8": {"text": text, "status": status, "time": now},
    }
    with open(os.environ[_ERROR_FILE], "w", encoding="utf-8") as file:
        json.dump(kept, file)
