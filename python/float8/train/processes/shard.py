"""FSDP2: each rank keeps a part of every parameter, and gathers a block's when it needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

from float8.train.model import decoder_blocks

if TYPE_CHECKING:
    from torch import nn

    from float8.train.config.settings import Settings
    from float8.train.processes.ranks import Ranks


def make_mesh(settings: Settings, ranks: Ranks, device: torch.device) -> DeviceMesh:
    """All ranks in a row, or (HSDP) in `dp_replicate_size` rows that hold the same shards."""
    replicas = settings.distributed.dp_replicate_size or 1
    if replicas == 1:
        return init_device_mesh(device.type, (ranks.world,), mesh_dim_names=("dp_shard",))
    shape = (replicas, ranks.world // replicas)
    return init_device_mesh(device.type, shape, mesh_dim_names=("dp_replicate", "dp_shard"))


def shard_model(model: Any, settings: Settings, mesh: DeviceMesh) -> None:
    """Shards each decoder block, then what is left, in place; the model may be on meta.

    Gradients are reduced in float32 whatever the weights are, and added up, not averaged: the loss
    is divided by the number of target tokens of all ranks already.
    """
    master = settings.model.torch_dtype == "float32"
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if master else None, reduce_dtype=torch.float32
    )
    for block in decoder_blocks(model):
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)
    for module in sharded_modules(model):
        module.set_gradient_divide_factor(1.0)
        module.set_force_sum_reduction_for_comms(True)


def sharded_modules(model: nn.Module) -> list[FSDPModule]:
    """The modules that gather their parameters; none in one process."""
    return [module for module in model.modules() if isinstance(module, FSDPModule)]
