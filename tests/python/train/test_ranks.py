"""How a process finds out that it is one of several."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import timedelta

import pytest
from torch import distributed
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from float8.cli import _without_option, parse
from float8.train.config.settings import load_settings
from float8.train.processes.launch import _first_error
from float8.train.processes.ranks import process_group, world_size
from float8.train.processes.slurm import first_host, slurm_variables

SRUN = {
    "SLURM_STEP_NUM_TASKS": "16", "SLURM_PROCID": "9", "SLURM_LOCALID": "1",
    "SLURM_STEP_NODELIST": "gpu[07-08]", "SLURM_JOB_ID": "4711", "SLURM_STEP_ID": "0",
}  # fmt: skip


def test_srun_variables_become_torchruns():
    made = slurm_variables(SRUN)
    assert (made["RANK"], made["WORLD_SIZE"], made["LOCAL_RANK"]) == ("9", "16", "1")
    assert made["MASTER_ADDR"] == "gpu07"
    assert 20000 <= int(made["MASTER_PORT"]) < 40000
    assert made["MASTER_PORT"] == slurm_variables({**SRUN, "SLURM_PROCID": "0"})["MASTER_PORT"]
    assert made["MASTER_PORT"] != slurm_variables({**SRUN, "SLURM_JOB_ID": "4712"})["MASTER_PORT"]
    assert slurm_variables({**SRUN, "MASTER_ADDR": "head"})["MASTER_ADDR"] == "head"


def test_a_batch_script_is_no_task():
    """Slurm numbers it 0 of all tasks, but it is alone."""
    script = {"SLURM_PROCID": "0", "SLURM_NTASKS": "16", "SLURM_JOB_NODELIST": "gpu[07-08]"}
    assert slurm_variables(script) == {}
    assert world_size(dict(script)) == 1


def test_torchruns_variables_come_first():
    environment = {**SRUN, "RANK": "3", "WORLD_SIZE": "4"}
    assert world_size(environment) == 4
    assert environment["RANK"] == "3"
    environment = dict(SRUN)
    assert world_size(environment) == 16
    assert environment["RANK"] == "9"


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node1", "node1"),
        ("node1,node2", "node1"),
        ("gpu[07-09,12],cpu3", "gpu07"),
        ("gpu[3,5]", "gpu3"),
        ("rack[1-2]n", "rack1n"),
        ("", "127.0.0.1"),
    ],
)
def test_the_first_host_of_a_node_list(nodes, first):
    assert first_host(nodes) == first


@pytest.mark.parametrize("word", [["--nproc-per-node", "2"], ["--nproc_per_node=2"]])
def test_workers_get_the_same_words_but_for_their_number(word):
    words = ["train", "a.yaml", *word, "--optimizer.lr", "2"]
    assert parse(words).options == {"nproc_per_node": "2"}
    assert _without_option(words, "nproc-per-node") == ["train", "a.yaml", "--optimizer.lr", "2"]


class Failure:
    """As torch's agent describes a process that failed."""

    def __init__(self, folder, rank, exitcode, text=None, time=0.0):
        import json

        self.local_rank, self.exitcode = rank, exitcode
        self.error_file = "<N/A>"
        if text is not None:
            path = folder / f"{rank}.json"
            path.write_text(json.dumps({"float8": {"text": text, "status": 1, "time": time}}))
            self.error_file = str(path)


@pytest.mark.parametrize(
    ("failed", "said"),
    [
        # (exit code, what the process left, when)
        ([(1, "error: second", 2.0), (1, "error: first", 1.0)], "error: first"),
        (
            [(1, "error: gloo: Connection closed by peer", 1.0), (1, "error: why", 2.0)],
            "error: why",
        ),
        ([(1, "error: gloo: Connection closed by peer", 1.0), (-9, None, 0)], "ended by SIGKILL"),
        ([(-15, None, 0), (1, "error: why", 2.0)], "error: why"),
        ([(-9, None, 0), (1, "error: why", 2.0)], "error: why"),
        ([(-15, None, 0), (-11, None, 0)], "rank 1: ended by SIGSEGV"),
    ],
)
def test_the_error_that_is_shown_is_the_cause(tmp_path, failed, said):
    failures = {
        rank: Failure(tmp_path, rank, exitcode, text, time)
        for rank, (exitcode, text, time) in enumerate(failed)
    }
    assert said in str(_first_error(failures))


@pytest.mark.parametrize(
    ("rank", "words", "status", "said"),
    [
        (0, ("--optimizer.lr", "fast"), 2, r"optimizer\.lr.*a number"),
        (1, ("--dataset.pth", "x"), 2, r"dataset\.pth"),
    ],
)
def test_an_agent_shows_the_line_and_no_traceback(config, tmp_path, rank, words, status, said):
    """What torchrun prints of a worker is what torch reads in the file that it asked for."""
    left = tmp_path / "error.json"
    done = subprocess.run(
        [sys.executable, "-m", "float8.cli", "train", config, *words],
        capture_output=True, text=True, timeout=120,
        env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank),
             "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", "TORCHELASTIC_ERROR_FILE": str(left)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (status, "")
    failure = ProcessFailure(rank, 1, status, str(left))
    shown = str(ChildFailedError("float8", {rank: failure}))
    assert re.search(f"traceback : .*{said}", shown)
    assert "Traceback" not in shown


def test_the_time_limit_is_of_steps_and_not_of_a_download(config, monkeypatch):
    made = {}
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(distributed, "init_process_group", lambda *_, **k: made.update(steps=k))
    monkeypatch.setattr(distributed, "new_group", lambda **k: made.update(waits=k))
    monkeypatch.setattr(distributed, "get_rank", lambda: 0)
    monkeypatch.setattr(distributed, "destroy_process_group", lambda: None)
    settings = load_settings(str(config), [("dist_env.timeout_minutes", "3")])
    with process_group(settings):
        assert made["steps"] == {"timeout": timedelta(minutes=3)}
        assert made["waits"]["timeout"] >= timedelta(hours=12)
