"""Imports everything once, then starts `float8 train` as often as it is told to, at once.

A test kills many runs at random moments, and most of a run's start is imports. Each line of
standard input is a JSON list of words; the answer is the run's process id, then its exit status.
"""

from __future__ import annotations

import json
import os
import sys

import torch.distributed.checkpoint
import torch.utils.tensorboard
import torchdata.stateful_dataloader  # noqa: F401
import transformers.models.llama.modeling_llama  # noqa: F401

from float8.cli import main
from float8.train import command  # noqa: F401

torch.set_num_threads(1)  # no threads that a fork would lose


def serve() -> None:
    """Until the input ends."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1)
            errors = os.open(json.loads(line)[0], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(errors, 2)
            os._exit(main(json.loads(line)[1:]))
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


serve()
