"""FSDP2 with FP8 weights on CUDA: one process with NCCL, and two that gather from each other.

In one process FSDP2 gathers nothing: it copies, and NCCL has only the weights' maxima. Two
processes of one GPU cannot have NCCL: gloo sends for them, on FSDP2's streams all the same.
"""

import copy
import dataclasses

import pytest
import torch
import torch.distributed as dist
from checks import assert_same
from torch import multiprocessing, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import float8

ALL_GATHERS = [False, True]


@pytest.fixture
def mesh(device):
    """Of one process; CUDA's collectives are NCCL's."""
    backend = "gloo" if device.emulate else "nccl"
    dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    yield init_device_mesh(device.name, (1,))
    dist.destroy_process_group()


def model_on(device, all_gather, dtype=torch.bfloat16):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(96, 128), nn.GELU(), nn.Linear(128, 96, bias=False))
    config = dataclasses.replace(
        float8.Float8LinearConfig.from_recipe_name("tensorwise"),
        emulate=device.emulate,
        enable_fsdp_float8_all_gather=all_gather,
    )
    return float8.convert_to_float8_training(model.to(device.name, dtype), config=config)


def sharded(model, mesh):
    for layer in (*model, model):
        if list(layer.parameters()):
            fully_shard(layer, mesh=mesh)
    return model


def losses(model, device, precompute, dtype=torch.bfloat16):
    """Of three optimizer steps."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(1)
    found = []
    for _ in range(3):
        x = torch.randn(64, 96, generator=generator).to(device.name, dtype)
        loss = (model(x) - x).float().square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if precompute:
            float8.precompute_float8_dynamic_scale_for_fsdp(model)
        found.append(loss.detach())
    return torch.stack(found)


@pytest.mark.parametrize("precompute", [False, True])
@pytest.mark.parametrize("all_gather", ALL_GATHERS)
def test_a_sharded_model_trains_with_the_bits_of_a_plain_one(device, mesh, all_gather, precompute):
    plain = model_on(device, all_gather=False)
    model = sharded(copy.deepcopy(model_on(device, all_gather)), mesh)
    assert_same(losses(model, device, precompute), losses(plain, device, precompute=False))


def one_of_two(rank, device, path):
    """Both have the same rows, so that the mean of their gradients is that of one process."""
    if not device.emulate:
        torch.cuda.set_device(0)
    dist.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=2)
    mesh = init_device_mesh(device.name, (2,))
    plain = model_on(device, all_gather=False, dtype=torch.float32)
    expected = losses(plain, device, precompute=False, dtype=torch.float32)
    for all_gather in ALL_GATHERS:
        for precompute in (False, True):
            model = sharded(model_on(device, all_gather, torch.float32), mesh)
            assert_same(losses(model, device, precompute, torch.float32), expected)
            model[0].unshard()
            assert (type(model[0].weight).__name__ == "GatheredFloat8Weight") == all_gather
    dist.destroy_process_group()


def test_two_processes_gather_from_each_other(device, tmp_path):
    multiprocessing.spawn(one_of_two, (device, str(tmp_path / "rendezvous")), nprocs=2)
