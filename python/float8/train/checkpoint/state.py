"""The state of a model and its optimizer as flat dicts of tensors, by the parameters' names.

The tensors are the live ones, so that a checkpoint read into them is loaded. Nothing but tensors:
an optimizer's other values are in the settings, which a checkpoint keeps beside.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from float8.fsdp.parameters import plain_values

State = dict[str, torch.Tensor]


def unwrapped(tensor: torch.Tensor) -> torch.Tensor:
    """The plain tensor that this rank holds of a sharded or wrapped one; it shares its memory."""
    local = plain_values(tensor)
    if isinstance(local, DTensor):
        local = local.to_local()
    return local


def model_state(model: nn.Module) -> State:
    """Parameters and saved buffers, a shared one once and by the first of its names."""
    every = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    again = every - {name for name, _ in model.named_parameters()}
    saved = model.state_dict()
    return {name: plain_values(saved[name]) for name in saved if name not in again}


def optimizer_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> State:
    """The optimizer's tensors as `<parameter>.<what>`."""
    return {
        f"{name}.{what}": plain_values(value)
        for name, parameter in model.named_parameters()
        for what, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, torch.Tensor)
    }


def make_optimizer_state(optimizer: torch.optim.Optimizer) -> None:
    """Gives a new optimizer the state that it would have after a step, to be loaded into.

    Takes a step without gradients at a learning rate of 0: only the optimizer itself knows which
    tensors it keeps. Weights are to be loaded afterwards.
    """
    rates: list[Any] = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate


def copied(state: State) -> State:
    """A copy in host memory, which stays as it is while training goes on."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}
