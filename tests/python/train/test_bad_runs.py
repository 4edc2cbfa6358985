"""What stops a run, in one line, and what is left then."""

from __future__ import annotations

import subprocess

import pytest
import torch

from float8.train import device
from float8.train.checkpoint.saver import list_checkpoints
from float8.train.config.settings import load_settings
from float8.train.console import View
from float8.train.errors import TrainError


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


def test_a_compiler_that_is_not_there_is_one_line(cli, config):
    result = cli("train", config, "--compile.enabled", "true", "--compile.backend", "nonesuch")
    assert result.status in (1, 2)
    assert "nonesuch" in result.err
    assert result.err.count("\n") == 1
