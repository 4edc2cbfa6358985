"""python -m float8.as_torchao: what it starts is the command itself, and its children take part."""

import signal
import subprocess
import sys
from pathlib import Path

from as_torchao import HERE, run

CHILDREN = HERE / "torchao_children.py"


def test_the_exit_status_is_the_commands():
    assert run("-c", "raise SystemExit(7)", check=False).returncode == 7


def test_a_signal_reaches_the_command():
    """It has the process of the one who started it, so that no signal needs passing on."""
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    command = [sys.executable, "-m", "float8.as_torchao", "-c", code]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert int(process.stdout.readline()) == process.pid
        process.terminate()
        assert process.wait() == -signal.SIGTERM


def test_workers_that_are_spawned_take_part():
    assert run(CHILDREN).stdout.split() == ["float8.float8_linear"]


def test_torchruns_ranks_take_part():
    torchrun = Path(sys.executable).with_name("torchrun")
    done = run("--", torchrun, "--standalone", "--nproc-per-node", 2, CHILDREN)
    assert done.stdout.split() == ["float8.float8_linear"] * 2
