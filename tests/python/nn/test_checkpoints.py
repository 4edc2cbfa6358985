"""Checkpoints: BF16 to FP8 and back, by every way that trainers use, the optimizer's state too."""

import copy

import pytest
import torch
import torch.distributed.checkpoint as dcp
from checks import assert_same
from reference_linear import config_of
from safetensors.torch import load_model, save_model
from torch import nn

import float8


def make_model(fp8: bool, seed: int):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(32, 48), nn.GELU(), nn.Linear(48, 16)).bfloat16()
    if fp8:
        float8.convert_to_float8_training(model, config=config_of("rowwise"))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    torch.manual_seed(seed + 1)
    step(model, optimizer)
    return model, optimizer


def step(model, optimizer):
    model(torch.randn(8, 32, dtype=torch.bfloat16)).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()


def by_torch_save(source, target, path):
    states = [part.state_dict() for part in source]
    torch.save(states, path / "file.pt")
    for part, state in zip(target, torch.load(path / "file.pt", weights_only=True), strict=True):
        part.load_state_dict(state)


def by_dcp(source, target, path):
    def state_of(model, optimizer):
        return {"model": model.state_dict(), "optimizer": optimizer.state_dict()}

    dcp.save(state_of(*source), checkpoint_id=path / "dcp")
    state = state_of(*target)
    dcp.load(state, checkpoint_id=path / "dcp")
    target[0].load_state_dict(state["model"])
    target[1].load_state_dict(state["optimizer"])


def by_safetensors(source, target, path):
    save_model(source[0], str(path / "model.safetensors"))
    load_model(target[0], str(path / "model.safetensors"))
    target[1].load_state_dict(copy.deepcopy(source[1].state_dict()))  # has no place in the file


WAYS = {"torch.save": by_torch_save, "dcp": by_dcp, "safetensors": by_safetensors}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("saved_fp8", [True, False])
@pytest.mark.parametrize("loaded_fp8", [True, False])
def test_training_goes_on(way, saved_fp8, loaded_fp8, tmp_path):
    source = make_model(saved_fp8, seed=0)
    target = make_model(loaded_fp8, seed=5)
    WAYS[way](source, target, tmp_path)
    for name, tensor in source[0].state_dict().items():
        assert_same(target[0].state_dict()[name], tensor)
    if saved_fp8 == loaded_fp8:  # the next step is the one that the saved run takes
        for run in (source, target):
            torch.manual_seed(9)
            step(*run)
        for name, tensor in source[0].state_dict().items():
            assert_same(target[0].state_dict()[name], tensor)


def test_a_cached_weight_that_is_loaded_is_not_stale(tmp_path):
    source, target = make_model(True, seed=0), make_model(True, seed=5)
    x = torch.randn(4, 32, dtype=torch.bfloat16)
    with float8.cached_weights(target[0]):
        target[0](x)
        by_torch_save(source, target, tmp_path)
        assert_same(target[0](x), source[0](x))
