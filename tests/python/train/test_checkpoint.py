"""Checkpoints are whole or absent, and never run code."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest
import torch

from float8.train.checkpoint import list_checkpoints, load_checkpoint, save_checkpoint, step_of
from float8.train.errors import TrainError

CPU = torch.device("cpu")


def state(size: int = 4) -> dict:
    return {
        "model": {"weight": torch.arange(float(size))},
        "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-3}]},
        "trainer": {"step": 3, "betas": (0.9, 0.95), "random": torch.get_rng_state()},
    }


def test_what_was_saved_is_read_back(tmp_path):
    path = save_checkpoint(tmp_path, 3, state(), keep_last=1)
    assert path == tmp_path / "step_3"
    loaded = load_checkpoint(path, CPU)
    assert torch.equal(loaded["model"]["weight"], torch.arange(4.0))
    assert loaded["trainer"]["betas"] == (0.9, 0.95)
    assert step_of(path) == 3


def test_the_newest_are_kept_in_the_order_of_their_steps(tmp_path):
    for step in (2, 9, 10, 11):
        save_checkpoint(tmp_path, step, state(), keep_last=2)
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step_10", "step_11"]
    assert list_checkpoints(tmp_path / "none") == []


def test_a_failed_save_leaves_the_earlier_one_and_nothing_else(tmp_path):
    save_checkpoint(tmp_path, 1, state(), keep_last=1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            save_checkpoint(tmp_path, 2, state(1_000_000), keep_last=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename.endswith("model.pt")
    assert os.listdir(tmp_path) == ["step_1"]
    load_checkpoint(tmp_path / "step_1", CPU)


def test_one_that_was_cut_off_is_never_taken_for_a_whole_one(tmp_path):
    save_checkpoint(tmp_path, 1, state(), keep_last=1)
    (tmp_path / ".step_2.tmp").mkdir()  # what kill -9 leaves
    (tmp_path / ".step_2.tmp" / "model.pt").write_bytes(b"half")
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step_1"]
    save_checkpoint(tmp_path, 2, state(), keep_last=1)
    assert os.listdir(tmp_path) == ["step_2"]


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (Path.touch, (Path("ran"),))


def test_a_checkpoint_cannot_run_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = save_checkpoint(tmp_path, 1, {**state(), "trainer": Evil()}, keep_last=1)
    with pytest.raises(TrainError, match=r"trainer\.pt"):
        load_checkpoint(path, CPU)
    assert not Path("ran").exists()


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_part_is_named(tmp_path, damage):
    part = save_checkpoint(tmp_path, 1, state(), keep_last=1) / "optimizer.pt"
    if damage is None:
        part.unlink()
    else:
        part.write_bytes(damage)
    with pytest.raises(TrainError) as caught:
        load_checkpoint(tmp_path / "step_1", CPU)
    assert str(part) in str(caught.value)
    assert "\n" not in str(caught.value)
