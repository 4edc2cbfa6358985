"""The section `wandb`, with a stand-in for the package: nothing is sent anywhere."""

from __future__ import annotations

import importlib.machinery
import sys
import types

import pytest
from run_files import losses

from float8.train.config.settings import as_plain, load_settings
from float8.train.job import check_same_settings


class Recorder(types.ModuleType):
    """What of the package is used, remembered."""

    def __init__(self):
        super().__init__("wandb")
        self.__spec__ = importlib.machinery.ModuleSpec("wandb", None)  # others look for it
        self.runs = []

    def init(self, **options):
        run = types.SimpleNamespace(options=options, rows=[], finished=False)
        run.log = lambda values, step: run.rows.append((step, values))

        def finish():
            run.finished = True

        run.finish = finish
        self.runs.append(run)
        return run


@pytest.fixture
def wandb(monkeypatch):
    recorder = Recorder()
    monkeypatch.setitem(sys.modules, "wandb", recorder)
    return recorder


def test_both_runs_are_logged_step_by_step(cli, config, tmp_path, wandb):
    keys = ["--wandb.project", "p", "--wandb.save_dir", "sent", "--wandb.mode", "offline"]
    assert cli("train", config, *keys).status == 0
    assert [run.options["name"] for run in wandb.runs] == ["run-bf16", "run-fp8"]
    for run, name in zip(wandb.runs, ("bf16", "fp8"), strict=True):
        options = run.options
        assert (options["project"], options["mode"]) == ("p", "offline")
        assert options["dir"] == str(tmp_path / "run" / "sent")
        assert options["config"]["optimizer"]["lr"] == 1e-3
        logged = [(step, values["loss"]) for step, values in run.rows if "loss" in values]
        assert logged == list(enumerate(losses(tmp_path / "run", name), start=1))
        assert run.finished


def test_without_the_section_nothing_is_sent(cli, config, wandb):
    assert cli("train", config, "--bf16_baseline", "false").status == 0
    assert not wandb.runs


def test_a_missing_package_is_said(cli, config, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    result = cli("train", config, "--wandb.project", "p", "--bf16_baseline", "false")
    assert result.status == 0
    assert "pip install wandb" in result.out


def test_the_section_is_no_part_of_what_a_run_computes(config):
    before = as_plain(load_settings(str(config)))
    with_section = load_settings(str(config), [("wandb.project", "p")])
    check_same_settings(config, before, with_section)
