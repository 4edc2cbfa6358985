"""Whole runs: two models side by side, interruptions, and what goes wrong on the way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from run_files import losses, saved_weights

from float8.train import device, loop
from float8.train.checkpoint.saver import list_checkpoints
from float8.train.config.settings import load_settings
from float8.train.console import View
from float8.train.errors import TrainError
from float8.train.folder import run_folder


@pytest.fixture
def run(tmp_path) -> Path:
    """The folder that the fixture's configuration writes to."""
    return tmp_path / "run"


def interrupt_at(monkeypatch, name: str, step: int) -> None:
    """Sends this process a real SIGINT while the run `name` takes the given step."""
    take_step = loop.Run._take_step

    def taking(self, batches):
        if (self.name, self.step + 1) == (name, step):
            os.kill(os.getpid(), signal.SIGINT)
        return take_step(self, batches)

    monkeypatch.setattr(loop.Run, "_take_step", taking)


def test_both_runs_learn_and_everything_is_written(cli, config, run):
    result = cli("train", config, "--step_scheduler.val_every_steps", 4,
                 "--validation_dataset.path", config.parent / "text.jsonl",
                 "--optimizer.lr", "1e-2")  # fmt: skip
    assert result.status == 0, result.err
    for name in ("bf16", "fp8"):
        curve = losses(run, name)
        assert len(curve) == 6
        assert curve[-1] < curve[0]
        rows = [json.loads(line) for line in (run / name / "metrics.jsonl").open()]
        assert [row["step"] for row in rows if "validation_loss" in row] == [4, 6]
        assert all(row["tokens"] == 4 * 32 for row in rows if "loss" in row)
        assert list((run / "tensorboard" / name).glob("events.*"))
        assert [path.name for path in list_checkpoints(run / "checkpoints" / name)] == ["step_6"]
    assert losses(run, "bf16") != losses(run, "fp8")
    assert (run / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert "7 of 8 linear layers converted" in result.out
    assert "difference" in result.out


def test_the_fp8_model_really_computes_in_fp8(cli, config, run, monkeypatch):
    import float8

    seen = {}
    train = loop.Run.train
    monkeypatch.setattr(
        loop.Run,
        "train",
        lambda self: (
            seen.update(
                {
                    self.name: sum(
                        isinstance(module, float8.Float8Linear) for module in self.model.modules()
                    )
                }
            ),
            train(self),
        ),
    )
    assert cli("train", config).status == 0
    assert seen == {"bf16": 0, "fp8": 7}


def test_without_the_baseline_only_fp8_is_trained(cli, config, run):
    result = cli("train", config, "--bf16-baseline", "false", "--fp8.recipe_name", "rowwise")
    assert result.status == 0, result.err
    assert len(losses(run, "fp8")) == 6
    assert not (run / "bf16").exists()


def test_float32_weights_train_with_bf16_products(cli, config, run):
    words = ("train", config, "--model.torch_dtype", "float32", "--optimizer.lr", "1e-2")
    result = cli(*words)
    assert result.status == 0, result.err
    for name in ("bf16", "fp8"):
        assert losses(run, name)[-1] < losses(run, name)[0]
        state = saved_weights(run / "checkpoints" / name / "step_6")
        assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    assert losses(run, "bf16") != losses(run, "fp8")


def test_a_finished_run_is_not_trained_again(cli, config, run):
    assert cli("train", config).status == 0
    (run / "bf16" / "metrics.jsonl").unlink()
    before = losses(run, "fp8")
    result = cli("train", config, "--resume")
    assert result.status == 0, result.err
    assert "bf16: no metrics" in result.out
    assert losses(run, "fp8") == before


def test_with_fp8_disabled_only_bf16_is_trained_and_a_line_says_so(cli, config, run):
    result = cli("train", config, "--fp8.enabled", "false")
    assert result.status == 0, result.err
    assert "fp8.enabled is false" in result.out
    assert len(losses(run, "bf16")) == 6
    assert not (run / "fp8").exists()


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


def test_a_folder_in_use_is_left_alone(cli, config, run):
    with run_folder(load_settings(str(config)), resume=False, view=View()):
        result = cli("train", config)
    assert result.status == 1
    assert f"another process trains in {run}" in result.err
    assert os.listdir(run) == []


def test_fp8_on_a_cpu_without_emulate_is_found_before_training(cli, config, run):
    if torch.cuda.is_available():
        pytest.skip("runs on the GPU that this machine has")
    result = cli("train", config, "--fp8.emulate", "false")
    assert result.status == 1
    assert "emulate" in result.err
    assert "cpu" in result.err.lower()
    assert result.err.count("\n") == 1
    assert not run.exists()


@pytest.mark.parametrize("emulate", [True, False])
def test_a_library_without_gpu_kernels_emulates_on_the_cpu(config, monkeypatch, emulate, capsys):
    """Stands in for a GPU and for a build without kernels for it."""
    tried = []

    def trying(_config, where):
        tried.append(where.type)
        if where.type == "cuda":
            raise TrainError("no kernels") from NotImplementedError("no kernels")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(device, "try_fp8", trying)
    settings = load_settings(str(config), [("fp8.emulate", str(emulate).lower())])
    if emulate:
        assert device.choose_device(settings, View()) == torch.device("cpu")
        assert tried == ["cuda", "cpu"]
        assert "training on the CPU: no kernels" in capsys.readouterr().out
    else:
        with pytest.raises(TrainError, match="no kernels"):
            device.choose_device(settings, View())


def test_a_loss_that_is_not_finite_stops_the_run(cli, config, run):
    result = cli("train", config, "--optimizer.lr", "1e30", "--bf16-baseline", "false")
    assert result.status == 1
    assert "of the fp8 run: loss" in result.err
    assert "optimizer.lr" in result.err


def test_a_dataset_that_cannot_be_read_is_one_line(cli, config, run):
    result = cli("train", config, "--dataset.path", "/no/such/file.txt")
    assert result.status == 2
    assert "/no/such/file.txt (No such file or directory)" in result.err
    assert "dataset.path" in result.err
    assert not run.exists()


def test_a_folder_that_cannot_be_written_is_one_line(cli, config):
    result = cli("train", config, "--output_dir", "/proc/run")
    assert result.status == 1
    assert "/proc/run" in result.err
    assert result.err.count("\n") == 1


def test_a_full_disk_is_one_line_and_leaves_the_checkpoint_before(cli, config, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "none", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        words = ("--output_dir", disk / "run", "--checkpoint.keep_last", 100)
        steps = ("--step_scheduler.ckpt_every_steps", 1, "--step_scheduler.max_steps", 100)
        result = cli("train", config, *words, *steps)
        assert result.status == 1
        assert "No space left on device" in result.err
        assert result.err.count("\n") == 1
        left = list_checkpoints(disk / "run" / "checkpoints" / "bf16")
        assert left
        assert all((path / "trainer.json").exists() for path in left)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_compiled_blocks_train_the_same_model(cli, config, run):
    words = ("train", config, "--bf16_baseline", "false")
    assert cli(*words).status == 0
    eager = losses(run, "fp8")
    result = cli(*words, "--compile.enabled", "true", "--compile.backend", "aot_eager")
    assert result.status == 0, result.err
    assert "1 blocks compiled" in result.out
    assert losses(run, "fp8") == eager  # aot_eager runs the same operators


def test_a_compiler_that_is_not_there_is_one_line(cli, config):
    result = cli("train", config, "--compile.enabled", "true", "--compile.backend", "nonesuch")
    assert result.status in (1, 2)
    assert "nonesuch" in result.err
    assert result.err.count("\n") == 1


def test_a_consolidated_model_can_be_loaded(cli, config, run):
    from transformers import AutoModelForCausalLM

    words = ("--bf16_baseline", "false", "--checkpoint.save_consolidated", "true")
    assert cli("train", config, *words).status == 0
    folder = run / "checkpoints" / "fp8"
    model = AutoModelForCausalLM.from_pretrained(folder / "consolidated", dtype=torch.bfloat16)
    trained = saved_weights(folder / "step_6")
    assert all(torch.equal(model.state_dict()[name], trained[name]) for name in trained)
