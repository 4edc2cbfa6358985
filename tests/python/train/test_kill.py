"""`kill -9` at random moments, in saves too: only the steps since a checkpoint are lost."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_files import losses

from float8.train.checkpoint.saver import (
    list_checkpoints,
    load_local,
    load_state,
    load_trainer,
    step_of,
)
from float8.train.processes.ranks import Ranks

KILLS = int(os.environ.get("FLOAT8_TEST_KILLS", "4"))  # 20 take a minute or more
EVERY = 2
STEPS = 30 * KILLS
WORDS = (
    "--bf16_baseline", "false", "--step_scheduler.ckpt_every_steps", EVERY,
    "--step_scheduler.max_steps", STEPS, "--lr_scheduler.lr_decay_style", "cosine",
)  # fmt: skip


class Server:
    """See fork_server.py."""

    def __init__(self, errors: Path) -> None:
        self.errors = errors
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("fork_server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def start(self, *words: object) -> int:
        self.process.stdin.write(json.dumps([str(self.errors), *map(str, words)]) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def status(self) -> int:
        return int(self.process.stdout.readline())


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / "errors.txt")
    yield server
    server.process.stdin.close()
    assert server.process.wait(timeout=60) == 0


def readable(checkpoint: Path) -> bool:
    """Reads all of a checkpoint; an error fails the test."""
    load_trainer(checkpoint)
    load_local(checkpoint, 0)
    from safetensors.torch import load_file

    for part in ("model", "optimizer"):
        (file,) = (checkpoint / part).glob("*.safetensors")
        state = {name: tensor.clone() for name, tensor in load_file(file).items()}
        assert state
        load_state(checkpoint, *((state, {}) if part == "model" else ({}, state)), Ranks())
    return True


def test_killed_runs_lose_only_the_steps_since_a_checkpoint(server, config, tmp_path):
    whole = tmp_path / "whole"
    server.start("train", config, *WORDS, "--output_dir", whole)
    assert server.status() == 0, server.errors.read_text()

    run, chance = tmp_path / "run", random.Random(20)
    words = ("train", config, *WORDS, "--output_dir", run)
    began = time.monotonic()
    killed_while_saving = done = 0
    for _ in range(KILLS):
        resume = ("--resume",) if (run / "fp8").exists() else ()
        child = server.start(*words, *resume)
        time.sleep(chance.uniform(0.2, 2.0))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        assert server.status() in (-signal.SIGKILL, 0), server.errors.read_text()
        folder = run / "checkpoints" / "fp8"
        checkpoints = list_checkpoints(folder)
        killed_while_saving += folder.exists() and any(folder.glob(".step_*"))
        if checkpoints:
            newest = step_of(checkpoints[-1])
            assert newest >= done, "an older checkpoint than before"
            assert readable(checkpoints[-1])
            done = newest
        steps = len(losses(run, "fp8")) if (run / "fp8" / "metrics.jsonl").exists() else 0
        # One save may be under way when the next is due, but not two.
        assert steps - done <= 2 * EVERY
    assert "float8: " not in server.errors.read_text(), server.errors.read_text()

    server.start(*words, *(("--resume",) if (run / "fp8").exists() else ()))
    assert server.status() == 0, server.errors.read_text()
    assert losses(run, "fp8") == losses(whole, "fp8")
    print(f"{KILLS} kills, {killed_while_saving} in a save, {time.monotonic() - began:.0f} s")
