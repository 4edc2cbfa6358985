"""All weights' scales from one all-reduce."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from float8.fsdp.amax import global_amax, keep_amax
from float8.fsdp.parameters import float8_shard

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

__all__ = ["precompute_float8_dynamic_scale_for_fsdp"]


@torch.no_grad()
def precompute_float8_dynamic_scale_for_fsdp(module: nn.Module) -> None:
    """Computes the scales of all weights that FSDP2 gathers as FP8, with one all-reduce.

    Call it on every rank after each optimizer step. The all-gathers of the next step then need no
    all-reduce of their own, one for each weight; the bits are the same. A weight that changes
    afterwards loses its scale (an optimizer's step, an operator on the parameter, load_state_dict),
    and its all-gathers compute it again; where a rank's own shard was written to directly, they
    raise an error that asks for another call.

        optimizer.step()
        float8.precompute_float8_dynamic_scale_for_fsdp(model)

    Args:
        module: a model; where no weight is sharded by fully_shard and gathered as FP8, nothing
            is done.
    """
    weights: dict[DeviceMesh, dict[int, Any]] = {}
    for layer in module.modules():
        for weight in layer.parameters(recurse=False):
            if float8_shard(weight) is not None and hasattr(weight, "device_mesh"):
                weights.setdefault(weight.device_mesh, {})[id(weight)] = weight
    for mesh, of_mesh in weights.items():
        _precompute(mesh, list(of_mesh.values()))


def _precompute(mesh: DeviceMesh, weights: list[Any]) -> None:
    sharded = [i for i, placement in enumerate(weights[0].placements) if placement.is_shard()]
    amaxes = global_amax(
        [weight._local_tensor._tensor for weight in weights],
        [mesh.get_group(i) for i in sharded],
        torch.device(mesh.device_type),
    )
    for weight, amax in zip(weights, amaxes, strict=True):
        keep_amax(weight, amax)
