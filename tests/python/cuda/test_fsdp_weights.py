"""FSDP2 with FP8 weights over NCCL and CUDA's streams: one process, which gathers all the same."""

import copy
import dataclasses

import pytest
import torch
import torch.distributed as dist
from checks import assert_same
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import float8


@pytest.fixture
def mesh(device):
    """Of one process; CUDA's collectives are NCCL's."""
    backend = "gloo" if device.emulate else "nccl"
    dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    yield init_device_mesh(device.name, (1,))
    dist.destroy_process_group()


def model_on(device, all_gather):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(96, 128), nn.GELU(), nn.Linear(128, 96, bias=False))
    config = dataclasses.replace(
        float8.Float8LinearConfig.from_recipe_name("tensorwise"),
        emulate=device.emulate,
        enable_fsdp_float8_all_gather=all_gather,
    )
    model = model.to(device.name, torch.bfloat16)
    return float8.convert_to_float8_training(model, config=config)


def losses(model, device, precompute):
    """Of three optimizer steps."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(1)
    found = []
    for _ in range(3):
        x = torch.randn(64, 96, generator=generator).to(device.name, torch.bfloat16)
        loss = (model(x) - x).float().square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if precompute:
            float8.precompute_float8_dynamic_scale_for_fsdp(model)
        found.append(loss.detach())
    return torch.stack(found)


@pytest.mark.parametrize("precompute", [False, True])
@pytest.mark.parametrize("all_gather", [False, True])
def test_a_sharded_model_trains_with_the_bits_of_a_plain_one(device, mesh, all_gather, precompute):
    plain = model_on(device, all_gather=False)
    sharded = copy.deepcopy(model_on(device, all_gather))
    for layer in (*sharded, sharded):
        if list(layer.parameters()):
            fully_shard(layer, mesh=mesh)
    assert_same(losses(sharded, device, precompute), losses(plain, device, precompute=False))
