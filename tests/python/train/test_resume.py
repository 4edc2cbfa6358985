"""Runs that were interrupted, died or had finished, and what goes on from them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from processes import run as in_a_process
from run_files import losses
from safetensors.torch import load

from float8.train import loop
from float8.train.checkpoint.saver import list_checkpoints
from float8.train.config.settings import load_settings
from float8.train.console import View
from float8.train.folder import run_folder


def interrupt_at(monkeypatch, name: str, step: int) -> None:
    """Sends this process a real SIGINT while the run `name` takes the given step."""
    take_step = loop.Run._take_step

    def taking(self, batches):
        if (self.name, self.step + 1) == (name, step):
            os.kill(os.getpid(), signal.SIGINT)
        return take_step(self, batches)

    monkeypatch.setattr(loop.Run, "_take_step", taking)


def test_a_finished_run_is_not_trained_again(cli, config, run):
    assert cli("train", config).status == 0
    (run / "bf16" / "metrics.jsonl").unlink()
    before = losses(run, "fp8")
    result = cli("train", config, "--resume")
    assert result.status == 0, result.err
    assert "bf16: no metrics" in result.out
    assert losses(run, "fp8") == before


def test_a_finished_run_is_said_and_held_to_its_settings(cli, config, run):
    words = ("train", config, "--bf16-baseline", "false")
    assert cli(*words).status == 0
    for steps in (6, 3):  # fewer would be taken now
        result = cli(*words, "--resume", "--step_scheduler.max_steps", steps)
        assert result.status == 0, result.err
        assert "fp8: finished before, after step 6" in result.out
    result = cli(*words, "--resume", "--model.config.hidden_size", 48)
    assert result.status == 2
    assert "model.config: expected " in result.err
    assert "step_6 was made" in result.err


@pytest.mark.parametrize("left", ["nothing", "an older one"])
def test_an_export_that_was_not_finished_is_made_by_resuming(cli, config, run, left):
    words = ("train", config, "--bf16-baseline", "false", "--checkpoint.save_consolidated", "true")
    assert cli(*words).status == 0
    before, exported = losses(run, "fp8"), run / "checkpoints" / "fp8" / "consolidated"
    weights = load((exported / "model.safetensors").read_bytes())
    if left == "nothing":
        shutil.rmtree(exported)
    else:
        (exported / "model.safetensors").write_bytes(b"")
        os.utime(exported, (0, 0))
    result = cli(*words, "--resume")
    assert result.status == 0, result.err
    assert f"fp8: model for from_pretrained in {exported}" in result.out
    again = load((exported / "model.safetensors").read_bytes())
    assert all(torch.equal(again[name], weights[name]) for name in weights)
    assert losses(run, "fp8") == before
    assert "finished before" in cli(*words, "--resume").out


def test_resuming_says_nothing_else(config, run):
    """In a process of its own: pytest keeps warnings to itself."""
    words = ("train", config, "--bf16-baseline", "false", "--step_scheduler.max_steps")
    assert in_a_process(*words, 2).err == ""
    assert in_a_process(*words, 3, "--resume").err == ""
    assert len(losses(run, "fp8")) == 3


@pytest.mark.parametrize(("name", "step"), [("bf16", 3), ("fp8", 4)])
def test_ctrl_c_and_resume_give_the_losses_of_an_uninterrupted_run(
    cli, config, run, monkeypatch, name, step
):
    assert cli("train", config).status == 0
    whole = {each: losses(run, each) for each in ("bf16", "fp8")}
    shutil.rmtree(run)

    with monkeypatch.context() as patch:
        interrupt_at(patch, name, step)
        stopped = cli("train", config)
    assert stopped.status == 130
    assert f"stopped after step {step} of 6 of the {name} run" in stopped.err
    assert "--resume" in stopped.err
    assert len(losses(run, name)) == step

    resumed = cli("train", config, "--resume")
    assert resumed.status == 0, resumed.err
    assert f"{name}: going on after step {step}" in resumed.out
    assert {each: losses(run, each) for each in ("bf16", "fp8")} == whole


def test_a_run_that_died_goes_on_from_its_last_checkpoint(cli, config, run, monkeypatch):
    words = ("train", config, "--step_scheduler.ckpt_every_steps", "2", "--fp8.enabled", "false")
    assert cli(*words).status == 0
    whole = losses(run, "bf16")
    shutil.rmtree(run)

    take_step = loop.Run._take_step

    def dying(self, batches):
        if self.step == 3:
            raise MemoryError
        return take_step(self, batches)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Run, "_take_step", dying)
        assert cli(*words).status == 1
    assert losses(run, "bf16") == whole[:3]  # step 3 is after the checkpoint of step 2
    result = cli(*words, "--resume")
    assert "bf16: going on after step 2" in result.out
    assert losses(run, "bf16") == whole


def test_ctrl_c_of_a_process_leaves_a_checkpoint_for_another(cli, config, run):
    words = ("train", config, "--step_scheduler.max_steps", "30", "--bf16_baseline", "false")
    command = [sys.executable, "-m", "float8.cli", *map(str, words)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=config.parent)
    metrics = run / "fp8" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not metrics.exists() or not metrics.read_text():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no first step within two minutes"
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in err
    taken = losses(run, "fp8")
    assert 0 < len(taken) < 30, "the signal came too late; raise max_steps"

    assert cli(*words, "--resume").status == 0
    resumed = losses(run, "fp8")
    shutil.rmtree(run)
    assert cli(*words).status == 0
    assert losses(run, "fp8") == resumed


def test_a_second_ctrl_c_stops_at_once(cli, config, run, monkeypatch):
    def twice(self, batches):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(loop.Run, "_take_step", twice)
    result = cli("train", config)
    assert result.status == 130
    assert result.err.splitlines()[-1] == "float8: interrupted"
    assert list_checkpoints(run / "checkpoints" / "bf16") == []


def test_resume_needs_something_to_resume_and_the_same_settings(cli, config, run, monkeypatch):
    result = cli("train", config, "--resume")
    assert result.status == 1
    assert "nothing to resume" in result.err
    assert not run.exists()

    interrupt_at(monkeypatch, "bf16", 2)
    assert cli("train", config).status == 130
    result = cli("train", config, "--resume", "--optimizer.lr", "2e-3")
    assert result.status == 2
    assert "optimizer.lr" in result.err
    assert "0.001, with which" in result.err


def test_an_earlier_run_is_moved_and_not_overwritten(cli, config, run):
    words = ("train", config, "--bf16-baseline", "false", "--step_scheduler.max_steps", "1")
    assert cli(*words).status == 0
    before = losses(run, "fp8")
    result = cli(*words, "--rng.seed", "8")
    assert f"moved the earlier run to {run}.1" in result.out
    assert losses(run.with_name("run.1"), "fp8") == before
    assert losses(run, "fp8") != before
    assert f"moved the earlier run to {run}.2" in cli(*words).out
    assert losses(run.with_name("run.1"), "fp8") == before


def test_a_folder_in_use_is_left_alone(cli, config, run):
    with run_folder(load_settings(str(config)), resume=False, view=View()):
        result = cli("train", config)
    assert result.status == 1
    assert f"another process trains in {run}" in result.err
    assert os.listdir(run) == []
