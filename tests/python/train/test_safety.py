"""What a file may not do, and what is found before time is spent."""

from __future__ import annotations

import os
import subprocess
import sys
import types

import pytest

import float8
from float8.train import folder
from float8.train.checkpoint.saver import list_checkpoints
from float8.train.config.settings import load_settings

WORDS = ("--fp8.enabled", "false", "--step_scheduler.max_steps", 1)


@pytest.mark.parametrize("path", ["/elsewhere", "../elsewhere", "a/../../elsewhere"])
@pytest.mark.parametrize("key", ["checkpoint.checkpoint_dir", "wandb.save_dir"])
def test_a_file_cannot_write_outside_its_folder(config, key, path):
    section, name = key.split(".")
    before = config.read_text()
    config.write_text(before + f"{section}:\n  {name}: {path}\n")
    with pytest.raises(float8.ConfigError, match="a folder in output_dir") as caught:
        load_settings(str(config))
    assert key in str(caught.value)
    config.write_text(before)
    load_settings(str(config), [(key, path)])  # whoever types it may


def test_checkpoint_dir_of_a_file_is_in_the_runs_folder(cli, config, tmp_path):
    config.write_text(config.read_text() + "checkpoint:\n  checkpoint_dir: kept/here\n")
    assert cli("train", config, *WORDS).status == 0
    assert len(list_checkpoints(tmp_path / "run" / "kept" / "here" / "bf16")) == 1
    elsewhere = tmp_path / "elsewhere"
    assert cli("train", config, *WORDS, "--checkpoint.checkpoint_dir", elsewhere).status == 0
    assert len(list_checkpoints(elsewhere / "bf16")) == 1


def test_a_disk_without_room_is_found_before_training(cli, config, tmp_path, monkeypatch):
    class Usage:
        free = 1000

    monkeypatch.setattr(folder.shutil, "disk_usage", lambda _: Usage)
    earlier = tmp_path / "run" / "bf16"
    earlier.mkdir(parents=True)
    result = cli("train", config, *WORDS)
    assert result.status == 1
    # Three times 25,280 values in BF16.
    assert "a checkpoint takes about 0.1 MiB, and " in result.err
    assert "has 1.0 KiB left; free some space" in result.err
    assert "checkpoint.enabled" in result.err
    assert earlier.exists(), "moved for a run that could not begin"
    assert cli("train", config, *WORDS, "--checkpoint.enabled", "false").status == 0


def test_a_checkpoint_folder_that_cannot_be_written_is_found_before_training(cli, config, tmp_path):
    if not os.path.isdir("/proc/self"):
        pytest.skip("needs /proc: a folder that not even root can write")
    earlier = tmp_path / "run" / "bf16"
    earlier.mkdir(parents=True)
    result = cli("train", config, *WORDS, "--checkpoint.checkpoint_dir", "/proc/self/here")
    assert result.status == 1
    assert "/proc/self/here" in result.err
    assert result.err.count("\n") == 1
    assert earlier.exists(), "moved for a run that could not begin"


@pytest.mark.parametrize("key", ["output_dir", "checkpoint.checkpoint_dir"])
def test_a_disk_that_is_read_only_is_found_before_training(cli, config, tmp_path, key):
    disk, earlier = tmp_path / "disk", tmp_path / "run" / "bf16"
    disk.mkdir()
    earlier.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "none", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a disk")
    try:
        result = cli("train", config, *WORDS, f"--{key}", disk / "run")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert result.status == 1
    assert f"Read-only file system: {disk}/run" in result.err
    assert "--output_dir" in result.err
    assert result.err.count("\n") == 1
    assert earlier.exists(), "moved for a run that could not begin"


def test_code_of_a_model_runs_only_when_both_say_so(config):
    for in_file in (False, True):
        for typed in (False, True):
            overrides = [("model.trust_remote_code", str(in_file).lower())]
            settings = load_settings(str(config), overrides, trust_remote_code=typed)
            assert settings.trust_remote_code == (in_file and typed)


@pytest.mark.parametrize("typed", [False, True])
def test_a_consent_in_the_file_alone_is_said_to_be_none(cli, config, typed):
    flags = ("--trust-remote-code",) if typed else ()
    result = cli("train", config, *WORDS, "--model.trust_remote_code", "true", *flags)
    assert result.status == 0, result.err
    assert ("no code is run without --trust-remote-code" in result.out) == (not typed)


def test_wandb_gets_what_the_metrics_get(cli, config, tmp_path, monkeypatch):
    """A stand-in for the package, which is not installed here."""
    started, logged = [], []

    class Run:
        def log(self, values, step):
            logged.append((step, values["loss"]))

        def finish(self):
            logged.append("finished")

    module = types.ModuleType("wandb")
    module.init = lambda **keys: started.append(keys) or Run()
    monkeypatch.setitem(sys.modules, "wandb", module)
    words = ("train", config, "--fp8.enabled", "false", "--step_scheduler.max_steps", 2)
    assert cli(*words).status == 0
    assert not started  # the section is what turns it on
    assert cli(*words, "--wandb.project", "test", "--wandb.save_dir", "w").status == 0
    (keys,) = started
    assert (keys["project"], keys["name"], keys["dir"]) == ("test", "run-bf16", f"{tmp_path}/run/w")
    assert keys["config"]["optimizer"]["lr"] == 1e-3
    assert [each[0] for each in logged[:-1]] == [1, 2]
    assert logged[-1] == "finished"


def test_without_the_package_a_line_says_so(cli, config, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    result = cli("train", config, *WORDS, "--wandb.project", "test")
    assert result.status == 0, result.err
    assert "wandb: the package is not installed" in result.out
