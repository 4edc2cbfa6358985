"""What an FP8 layer does where FSDP2 shards its weight."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from float8.config import Float8LinearConfig
from float8.fsdp.amax import forget_amax
from float8.fsdp.parameters import float8_shard, plain_values, wrap_again

__all__ = ["ShardableLinear"]


class ShardableLinear(nn.Linear):
    """The part of Float8Linear that knows of FSDP2 and of checkpoints.

    A state dict has ordinary tensors, whatever the weight is: it can be saved, and loaded into the
    model before conversion, and the other way round.
    """

    config: Float8LinearConfig
    #: Whether FSDP2 gathers the weight as FP8.
    gathers_float8: bool
    _operator_arguments: tuple[Any, ...]

    def register_load_state_dict_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Registers a hook; fully_shard does so for each parameter, and that is how we learn of it.

        Raises:
            ValueError: what fully_shard was asked for does not work with FP8 weights.
        """
        self.note_sharding(hook)
        handle: RemovableHandle = super().register_load_state_dict_post_hook(  # type: ignore[no-untyped-call]
            hook
        )
        return handle

    def note_sharding(self, hook: Callable[..., None]) -> None:
        """Adapts to being sharded, where `hook` is the one that FSDP2 registers.

        A copy of an unsharded weight that waits for the backward pass would outlive the layer's
        turn and take the memory that resharding is there to save. So the backward pass makes it
        again: from a weight that was gathered as FP8 with a transpose, otherwise with a cast.
        """
        param = _fsdp_param(hook)
        if param is None or param._module_info.param_name != "weight":
            return
        layers = [self, *param._module_info.shared_modules]
        if self.gathers_float8:
            _check_all_gather(param)
        if self.gathers_float8 or param.post_forward_mesh_info is not None:
            config = dataclasses.replace(self.config, force_recompute_fp8_weight_in_bwd=True)
            for layer in layers:
                if isinstance(layer, ShardableLinear):
                    layer._operator_arguments = config._operator_arguments()

    def refuse_dtensors(self, input: torch.Tensor) -> None:
        """Says what is wrong where a DTensor has come to the operator, which fails with it.

        Raises:
            NotImplementedError: the input or the weight is a DTensor.
        """
        for name, tensor in (("input", input), ("weight", self.weight)):
            if placements := getattr(tensor, "placements", None):
                raise NotImplementedError(
                    "[Float8Linear] input and weight must be ordinary tensors, got a DTensor "
                    f"{placements} as {name} {list(tensor.shape)}; there is no tensor parallelism "
                    "of FP8 layers yet: leave those that parallelize_module is to shard out of the "
                    "conversion. A weight that fully_shard sharded is whole only in the forward "
                    "pass of the module that was sharded: call that one"
                )

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if not keep_vars and float8_shard(self.weight) is not None:
            destination[prefix + "weight"] = plain_values(self.weight)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        if self.gathers_float8 and float8_shard(self.weight) is None:  # assign=True
            wrap_again(self.weight, self.config)
        forget_amax(self.weight)


def _fsdp_param(hook: Callable[..., None]) -> Any | None:
    """The FSDPParam of torch.distributed.fsdp that registered this hook on its module."""
    for cell in getattr(hook, "__closure__", None) or ():
        if type(cell.cell_contents).__name__ == "FSDPParam":
            return cell.cell_contents
    return None


def _check_all_gather(param: Any) -> None:
    if float8_shard(param.sharded_param) is None:
        raise ValueError(
            "[fully_shard] with enable_fsdp_float8_all_gather a weight must be the parameter that "
            f"the conversion left, got another one {list(param._orig_size)} in its place; load "
            "weights with load_state_dict, or convert afterwards"
        )
    mesh, later = param.mesh_info, param.post_forward_mesh_info
    if later is not None and later.shard_mesh_size != mesh.shard_mesh_size:
        raise ValueError(
            "[fully_shard] with enable_fsdp_float8_all_gather reshard_after_forward must be true "
            f"or false, got {later.shard_mesh_size} (of {mesh.shard_mesh_size} ranks): FSDP2 "
            "cannot gather FP8 weights from fewer ranks than it sharded them over; set it to true "
            "or false, or set enable_fsdp_float8_all_gather to false"
        )
