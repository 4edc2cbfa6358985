"""Weight gradients that the backward pass adds to a float32 `main_grad`."""

from __future__ import annotations

import torch
from torch import nn

from float8.float8_linear import Float8Linear

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
        ValueError: a weight is sharded (FSDP2), so that its gradient must pass through hooks. DDP's
            hooks are found in the first forward pass, which raises RuntimeError.
    """
    layers = {n: m for n, m in model.named_modules() if isinstance(m, Float8Linear)}
    for name, layer in layers.items():
        if enabled and type(layer.weight.data) is not torch.Tensor:
            raise ValueError(
                f"[fuse_wgrad_accumulation] a weight with main_grad must be a plain tensor, but "
                f"{name}.weight is a {type(layer.weight.data).__name__}; sharded weights get their "
                "gradient from hooks that would wait for it"
            )
    for layer in layers.values():
        layer.fuse_wgrad_accumulation = enabled
        if enabled and getattr(layer.weight, "main_grad", None) is None:
            zeros = torch.zeros_like(layer.weight, dtype=torch.float32, requires_grad=False)
            layer.weight.main_grad = zeros  # type: ignore[attr-defined]
    return model
