"""Weight gradients that the backward pass adds to a float32 `main_grad`."""

from __future__ import annotations

import torch
from torch import nn

from float8.float8_linear import Float8Linear
from float8.fsdp.parameters import read_by_others

__all__ = ["fuse_wgrad_accumulation"]


def fuse_wgrad_accumulation(model: nn.Module, enabled: bool = True) -> nn.Module:
    """Lets FP8 layers add their weight's gradient to `weight.main_grad`, in float32.

    Megatron's convention: over microbatches a gradient is summed in float32 by the product that
    computes it, not rounded to the weight's dtype first, and `weight.grad` stays None. Whoever owns
    `main_grad` zeroes it between optimizer steps and hands it to the optimizer.

    Args:
        model: its Float8Linear layers are meant. A weight without a `main_grad` is given one of
            zeros, [N, K] float32.
        enabled: False goes back to `weight.grad`, and leaves `main_grad` where it is.

    Returns:
        model.

    Raises:
        ValueError: a weight is sharded (FSDP2) or has gradient hooks, which would wait for its
            gradient, or another module reads it too (an embedding), whose part of the gradient
            would stay in `weight.grad`. DDP's hooks are found in the first forward pass, which
            raises RuntimeError; so are hooks that are registered later, unless it is compiled.
    """
    layers = {n: m for n, m in model.named_modules() if isinstance(m, Float8Linear)}
    if enabled:
        others = read_by_others(model, layers.values())
        for name, layer in layers.items():
            _check(f"{name}.weight" if name else "weight", layer.weight, others)
    for layer in layers.values():
        layer.fuse_wgrad_accumulation = enabled
        if enabled and getattr(layer.weight, "main_grad", None) is None:
            zeros = torch.zeros_like(layer.weight, dtype=torch.float32, requires_grad=False)
            layer.weight.main_grad = zeros  # type: ignore[attr-defined]
    return model


def _check(name: str, weight: torch.Tensor, others: dict[int, str]) -> None:
    if type(weight.data) is not torch.Tensor:
        raise ValueError(
            f"[fuse_wgrad_accumulation] a weight with main_grad must be a plain tensor, but {name} "
            f"is a {type(weight.data).__name__}; sharded weights get their gradient from hooks "
            "that would wait for it"
        )
    if weight._backward_hooks or getattr(weight, "_post_accumulate_grad_hooks", None):
        raise ValueError(
            f"[fuse_wgrad_accumulation] autograd gets no gradient of a weight with main_grad, but "
            f"{name} has gradient hooks, which would wait for one; use one or the other"
        )
    if id(weight) in others:
        raise ValueError(
            "[fuse_wgrad_accumulation] every reader of a weight must add to its main_grad, but "
            f"{name} is read by {others[id(weight)]} too, whose part of the gradient would stay in "
            "weight.grad; leave the layer out of the conversion, or untie the two"
        )
