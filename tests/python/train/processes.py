"""Starts `float8 ...` as a process of its own, with as many workers as asked for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

SECONDS = 240  # until a hanging run is a failed test


# transformers imports torchao where it is installed; torch 2.15 has two words to say about that.
_OF_TORCHAO = re.compile(r"(\[rank\d+\]:)?W.*?/_pytree\.py:\d+\] .*\n")


@dataclass
class Done:
    """What a command left behind."""

    status: int
    out: str
    err: str


def start(*words: object, processes: int = 1, before: str = "", **environment: str) -> Any:
    """Starts the command.

    Args:
        words: those after `float8`.
        processes: --nproc-per-node.
        before: Python that each worker runs first, to break something in it.
        environment: variables beside the test's own.
    """
    words = (*words, "--nproc-per-node", processes) if processes > 1 else words
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    if before:
        variables |= {"FLOAT8_TEST_BEFORE": before, "PYTHONPATH": _site_folder()}
    return subprocess.Popen(
        [sys.executable, "-m", "float8.cli", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=variables,
        start_new_session=True,
    )


def finish(process: Any) -> Done:
    """Waits for a started command."""
    out, err = process.communicate(timeout=SECONDS)
    assert "Traceback" not in out + err, out + err
    return Done(process.returncode, out, _OF_TORCHAO.sub("", err))


def run(*words: object, processes: int = 1, **keys: str) -> Done:
    """Starts a command and waits for it."""
    return finish(start(*words, processes=processes, **keys))


def _site_folder() -> str:
    """A folder whose sitecustomize.py runs FLOAT8_TEST_BEFORE in every process of the command."""
    return os.path.join(os.path.dirname(__file__), "broken")
