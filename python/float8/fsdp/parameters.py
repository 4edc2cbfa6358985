"""Parameters that become weights with an FP8 all-gather, and back, as the same objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from float8.config import Float8LinearConfig
from float8.fsdp.gathered import GatheredFloat8Weight
from float8.fsdp.weight import WeightWithDynamicFloat8CastTensor

__all__ = [
    "float8_shard",
    "has_values",
    "plain_values",
    "read_by_others",
    "wrap_again",
    "wrap_weights",
]


def float8_shard(weight: Any) -> WeightWithDynamicFloat8CastTensor | None:
    """Returns the local part of a weight that is gathered as FP8; None for any other tensor."""
    local = getattr(weight, "_local_tensor", weight)  # a DTensor's, where it is sharded
    return local if isinstance(local, WeightWithDynamicFloat8CastTensor) else None


def has_values(weight: Any) -> bool:
    """Whether a weight has high-precision values of all of it, neither sharded nor FP8."""
    return not isinstance(weight, GatheredFloat8Weight) and not hasattr(weight, "_local_tensor")


def read_by_others(model: nn.Module, layers: Iterable[nn.Module]) -> dict[int, str]:
    """Returns the parameters of a model's other modules: by id, with such a module's name."""
    ours = set(layers)
    return {
        id(parameter): name
        for name, module in model.named_modules()
        if module not in ours
        for parameter in module.parameters(recurse=False)
    }


def wrap_weights(
    model: nn.Module, layers: Iterable[nn.Linear], config: Float8LinearConfig
) -> tuple[list[nn.Linear], list[str]]:
    """Lets FSDP2 gather the weights of layers as FP8. All or nothing.

    A weight that another module reads too, an embedding's, stays as it is: that module needs its
    high-precision values.

    Args:
        model: where other modules are looked for.
        layers: those that compute in FP8.
        config: how.

    Returns:
        The layers whose weights are gathered as FP8, and the names of the others.

    Raises:
        ValueError: a weight that cannot be replaced under the same object; nothing has changed.
    """
    layers = list(layers)
    others = read_by_others(model, layers)
    wrapped: list[nn.Linear] = []
    new: list[torch.Tensor] = []
    try:
        for layer in layers:
            if id(layer.weight) not in others:
                if float8_shard(layer.weight) is None:
                    wrap_weight(layer.weight, config)
                    new.append(layer.weight)
                wrapped.append(layer)
    except Exception:
        for weight in new:
            _replace(weight, nn.Parameter(weight._tensor))  # type: ignore[attr-defined]
        raise
    names = {module: name for name, module in model.named_modules()}
    return wrapped, [names[layer] for layer in layers if id(layer.weight) in others]


def wrap_weight(weight: torch.Tensor, config: Float8LinearConfig) -> None:
    """Makes a parameter one that FSDP2 gathers as FP8; it stays the same object.

    Raises:
        ValueError: a tensor subclass (sharded already, quantized), or a parameter with gradient
            hooks or a graph that waits for its gradient: they would be lost.
    """
    if type(weight) is not nn.Parameter:
        raise _refused(f"one of type {type(weight).__name__}", "convert before anything wraps it")
    if weight._backward_hooks or getattr(weight, "_post_accumulate_grad_hooks", None):
        raise _refused("one with gradient hooks", "register them after the conversion")
    try:
        _replace(weight, _wrapped(weight.data, config))
    except RuntimeError as error:
        raise _refused(f"one in use ({error})", "convert before the first pass") from error


def wrap_again(weight: torch.Tensor, config: Float8LinearConfig) -> None:
    """Does the same for a parameter that load_state_dict put in its place, sharded or not."""
    local = getattr(weight, "_local_tensor", None)
    if local is None:
        wrap_weight(weight, config)
    else:
        weight._local_tensor = _wrapped(local, config)  # type: ignore[attr-defined]


def _wrapped(values: torch.Tensor, config: Float8LinearConfig) -> WeightWithDynamicFloat8CastTensor:
    dtype = config.cast_config_weight.target_dtype
    assert dtype is not None
    return WeightWithDynamicFloat8CastTensor(values, config, dtype)


def plain_values(weight: torch.Tensor) -> torch.Tensor:
    """Returns the values of a weight for a state dict: an ordinary tensor, or DTensor of such."""
    local = float8_shard(weight)
    if local is None:
        return weight.detach()
    if local is weight:
        return local._tensor.detach()
    from torch.distributed.tensor import DTensor  # there is one, so that it is loaded

    assert isinstance(weight, DTensor)
    with torch.no_grad():  # an alias that counts versions with the shard: amax.py looks at them
        return DTensor.from_local(
            local._tensor.detach(),
            weight.device_mesh,
            weight.placements,
            run_check=False,
            shape=weight.shape,
            stride=weight.stride(),
        )


def _replace(parameter: torch.Tensor, values: torch.Tensor) -> None:
    """Gives a parameter other values and another class; what it carries stays."""
    gradient = parameter.grad
    parameter.grad = None
    new = nn.Parameter(values, parameter.requires_grad)
    for name, value in vars(parameter).items():
        vars(new).setdefault(name, value)
    del values
    try:
        torch.utils.swap_tensors(parameter, new)  # type: ignore[no-untyped-call]
    finally:
        parameter.grad = gradient


def _refused(found: str, advice: str) -> ValueError:
    return ValueError(
        "[enable_fsdp_float8_all_gather] a weight must be an ordinary parameter when its layer is "
        f"converted, got {found}; {advice}, or set enable_fsdp_float8_all_gather to false"
    )
