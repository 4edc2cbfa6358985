"""Checkpoints are whole or absent, and never run code."""

from __future__ import annotations

import errno
import json
import os
import pickle
import resource
from pathlib import Path

import pytest
import torch

from float8.train.checkpoint import saver
from float8.train.checkpoint.saver import (
    Saver,
    list_checkpoints,
    load_local,
    load_state,
    load_trainer,
    step_of,
)
from float8.train.checkpoint.shards import FORMATS
from float8.train.errors import TrainError
from float8.train.processes.ranks import Ranks

TRAINER = {"step": 3, "settings": {"optimizer": {"betas": (0.9, 0.95)}}}


def weights(size: int = 4) -> dict[str, torch.Tensor]:
    return {"weight": torch.arange(float(size)), "half": torch.arange(6.0).view(2, 3).bfloat16()}


def save(folder: Path, step: int, layout: str = "safetensors", keep: int = 1, size: int = 4):
    writer = Saver(folder, layout, keep, Ranks())
    optimizer = {"weight.step": torch.tensor(3.0), "weight.exp_avg": torch.ones(size)}
    path = writer.save(step, weights(size), optimizer, {"random": torch.get_rng_state()}, TRAINER)
    writer.wait()
    return path


def load(path: Path, size: int = 4) -> tuple[dict, dict]:
    model = {name: torch.zeros_like(tensor) for name, tensor in weights(size).items()}
    optimizer = {"weight.step": torch.tensor(0.0), "weight.exp_avg": torch.zeros(size)}
    load_state(path, model, optimizer, Ranks())
    return model, optimizer


@pytest.mark.parametrize("layout", FORMATS)
def test_what_was_saved_is_read_back(tmp_path, layout):
    path = save(tmp_path, 3, layout)
    assert path == tmp_path / "step_3"
    model, optimizer = load(path)
    assert all(torch.equal(model[name], tensor) for name, tensor in weights().items())
    assert optimizer["weight.step"].item() == 3.0
    assert torch.equal(optimizer["weight.exp_avg"], torch.ones(4))
    assert load_trainer(path)["settings"] == {"optimizer": {"betas": [0.9, 0.95]}}
    assert torch.equal(load_local(path, 0)["random"], torch.get_rng_state())
    assert step_of(path) == 3
    assert list((path / "model").glob("*.safetensors" if layout == "safetensors" else "*.distcp"))


def test_what_is_saved_is_what_it_was_when_the_save_began(tmp_path):
    writer = Saver(tmp_path, "safetensors", 1, Ranks())
    model = weights()
    path = writer.save(1, model, {}, {}, TRAINER)
    model["weight"].zero_()  # as the next step does, while the thread still writes
    writer.wait()
    read = {"weight": torch.zeros(4)}
    load_state(path, read, {}, Ranks())
    assert torch.equal(read["weight"], torch.arange(4.0))


def test_the_newest_are_kept_in_the_order_of_their_steps(tmp_path):
    for step in (2, 9, 10, 11):
        save(tmp_path, step, keep=2)
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step_10", "step_11"]
    assert list_checkpoints(tmp_path / "none") == []


@pytest.mark.parametrize("layout", FORMATS)
def test_a_failed_save_leaves_the_earlier_one_and_nothing_else(tmp_path, layout):
    save(tmp_path, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            save(tmp_path, 2, layout, size=1_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    assert ".step_2.tmp" in caught.value.filename
    assert os.listdir(tmp_path) == ["step_1"]
    load(tmp_path / "step_1")


def test_one_that_was_cut_off_is_never_taken_for_a_whole_one(tmp_path):
    save(tmp_path, 1)
    (tmp_path / ".step_2.tmp" / "model").mkdir(parents=True)  # what kill -9 leaves
    (tmp_path / ".step_2.tmp" / "model" / "part").write_bytes(b"half")
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step_1"]
    save(tmp_path, 2)
    assert os.listdir(tmp_path) == ["step_2"]
    load(tmp_path / "step_2")


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (Path.touch, (Path("ran"),))


@pytest.mark.parametrize("layout", FORMATS)
def test_a_checkpoint_cannot_run_code(tmp_path, monkeypatch, layout):
    """Every file of a checkpoint in turn is somebody else's pickle."""
    monkeypatch.chdir(tmp_path)
    files = [file for file in save(tmp_path, 1, layout).rglob("*") if file.is_file()]
    assert len(files) >= 4
    for file in files:
        path = save(tmp_path, 1, layout)
        if file.suffix == ".distcp":
            torch.save(Evil(), file)
            entries = json.loads((file.parent / "index.json").read_text())
            for entry in entries.values():
                entry["chunks"][0][3:] = [0, file.stat().st_size]
            (file.parent / "index.json").write_text(json.dumps(entries))
        else:
            file.write_bytes(pickle.dumps(Evil()))
        if file.name == ".metadata":
            load(path)  # nothing looks at it
        else:
            with pytest.raises(TrainError):
                load(path), load_trainer(path), load_local(path, 0)
    assert not Path("ran").exists()
    pickle.loads(pickle.dumps(Evil()))
    assert Path("ran").exists(), "the pickle is harmless, so this test shows nothing"


def test_an_index_cannot_name_a_file_elsewhere(tmp_path):
    path = save(tmp_path / "a", 1, "torch_save")
    index = path / "model" / "index.json"
    entries = json.loads(index.read_text())
    shard = entries["weight"]["chunks"][0][2]
    for entry in entries.values():
        entry["chunks"][0][2] = f"../../../elsewhere/{shard}"
    index.write_text(json.dumps(entries))
    model, _ = load(path)  # the folder's own file all the same
    assert torch.equal(model["weight"], torch.arange(4.0))


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
@pytest.mark.parametrize("part", ["model/*", "optimizer/*", "trainer.json", "rank_0.safetensors"])
def test_a_damaged_part_is_named(tmp_path, damage, part):
    path = save(tmp_path, 1)
    (file,) = path.glob(part)
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage)
    with pytest.raises(TrainError) as caught:
        load(path), load_trainer(path), load_local(path, 0)
    assert str(path) in str(caught.value)
    assert Path(part).parts[0] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layout", FORMATS)
def test_another_models_checkpoint_is_refused(tmp_path, layout):
    path = save(tmp_path, 1, layout)
    with pytest.raises(TrainError, match="weight"):
        load(path, size=5)
    with pytest.raises(TrainError, match="bias"):
        load_state(path, {"bias": torch.zeros(1)}, {}, Ranks())


def test_a_file_that_cannot_be_written_is_named():
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        saver._write_file(Path("/dev/full"), b"x")


@pytest.mark.parametrize("text", ["[]", "{}", '{"settings": [], "world": 1}', "x"])
def test_values_that_are_none_of_ours_are_refused(tmp_path, text):
    (tmp_path / "trainer.json").write_text(text)
    with pytest.raises(TrainError, match=r"trainer\.json"):
        load_trainer(tmp_path)
