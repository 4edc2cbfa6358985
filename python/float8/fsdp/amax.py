"""The maxima of sharded weights: over all shards, and known beforehand for all weights at once."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.distributed as dist
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

if TYPE_CHECKING:
    from float8.fsdp.weight import WeightWithDynamicFloat8CastTensor

__all__ = ["forget_amax", "global_amax", "keep_amax", "known_amax"]

_ATTRIBUTE = "_float8_amax"


def global_amax(
    shards: Sequence[torch.Tensor],
    groups: Iterable[dist.ProcessGroup],
    device: torch.device | None = None,
) -> list[torch.Tensor]:
    """Returns max|x| of each sharded matrix, [1, 1] in its dtype, with one all-reduce per group.

    Maxima travel as integers: the bits of floats without a sign are in their order, with NaN
    above infinity. A maximum of floats would lose a NaN, or not, on each rank as it likes.

    Args:
        shards: [rows, K], rows may be 0.
        groups: the processes that hold the other shards.
        device: where the groups communicate; None: where the shards are.
    """
    local = torch.cat([torch.ops.float8.amax(shard, (0, 0)).float() for shard in shards])
    bits = local.to(device, non_blocking=True).abs().view(torch.int32)
    for group in groups:
        dist.all_reduce(bits, dist.ReduceOp.MAX, group)
    amax = bits.view(torch.float32)
    of_dtype = {dtype: amax.to(dtype) for dtype in {shard.dtype for shard in shards}}
    return [of_dtype[shard.dtype][i : i + 1] for i, shard in enumerate(shards)]


class _Kept(NamedTuple):
    """A maximum, and the state of the weight that it was computed of."""

    amax: torch.Tensor
    values: torch.Tensor
    #: Of this rank's shard: what only this rank sees.
    shard: tuple[int, int]
    #: Of the parameter: what all ranks see.
    parameter: tuple[int, int]


def _kept(amax: torch.Tensor, weight: Any) -> _Kept:
    local: WeightWithDynamicFloat8CastTensor = weight._local_tensor
    values = local._tensor
    shard = (local._version, values._version)
    # Not each operator on a view of the parameter sees the class, but then the version counts it.
    return _Kept(amax, values, shard, (weight._version, local._writes.count))


def keep_amax(weight: Any, amax: torch.Tensor) -> None:
    """Lets the all-gathers of a weight use its maximum until the weight changes."""
    _forget_after_optimizer_steps()
    setattr(weight, _ATTRIBUTE, _kept(amax, weight))


def forget_amax(weight: torch.Tensor) -> None:
    """Lets the all-gathers of a weight compute its maximum again."""
    vars(weight).pop(_ATTRIBUTE, None)


def known_amax(layer: nn.Module) -> torch.Tensor | None:
    """Returns the maximum of a layer's weight where it was computed beforehand and still holds.

    All ranks must come to the same answer, since without a maximum they communicate. Operators on
    the parameter, which all ranks call, make them forget it together. A write to a rank's own shard
    is another matter: a rank whose shard is empty would not see it, and wait for ever.

    Raises:
        RuntimeError: this rank's shard was written to directly.
    """
    weight: Any = layer.weight
    kept: _Kept | None = vars(weight).get(_ATTRIBUTE)
    if kept is None:
        return None
    now = _kept(kept.amax, weight)
    if now.values is not kept.values or now.shard != kept.shard:
        raise RuntimeError(
            "[precompute_float8_dynamic_scale_for_fsdp] a scale must be that of the weight's "
            f"values, but the own shard of a weight {list(weight.shape)} was written to after its "
            "scale had been computed (by to_local(), a checkpoint's load); call "
            "precompute_float8_dynamic_scale_for_fsdp(model) again after such a change"
        )
    return kept.amax if now.parameter == kept.parameter else None


@functools.cache
def _forget_after_optimizer_steps() -> None:
    """A step changes all weights, though its kernels may write where no counter sees it."""

    # Where a step is compiled, it is called beside the graph.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forget(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                forget_amax(parameter)

    register_optimizer_step_post_hook(forget)
