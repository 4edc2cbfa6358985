"""Keeps `nn.TransformerEncoderLayer` from reading converted layers' weights itself."""

from __future__ import annotations

from torch import nn

from float8.float8_linear import Float8Linear


def turn_off(model: nn.Module) -> None:
    """Makes encoder layers call their converted layers in evaluation too.

    Without gradients and in evaluation mode `nn.TransformerEncoderLayer` takes a fast path: one
    fused kernel that is given the weights of its linear layers, and computes in high precision
    whatever these layers are. It is not taken where `activation_relu_or_gelu` says that the kernel
    does not know the activation. `nn.TransformerEncoder` also makes nested tensors for that kernel,
    which nothing else would take.

    Args:
        model: a converted model.
    """
    for module in model.modules():
        if isinstance(module, nn.TransformerEncoderLayer) and _has_converted(module):
            module.activation_relu_or_gelu = 0
        if isinstance(module, nn.TransformerEncoder) and _has_converted(module):
            module.use_nested_tensor = False


def _has_converted(module: nn.Module) -> bool:
    return any(isinstance(child, Float8Linear) for child in module.modules())
