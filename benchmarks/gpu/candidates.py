"""A layer or a model in each form that is compared: BF16, ours, torchao's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import float8

Filter = Callable[[nn.Module, str], bool]


def torchao_missing() -> str:
    """Why torchao takes no part; empty where it does."""
    try:
        import torchao.float8  # noqa: F401
    except Exception as error:  # a broken peer must not stop the others
        return f"torchao: {type(error).__name__}: {error}"[:300]
    return ""


def every_layer(module: nn.Module, name: str) -> bool:
    """Leaves nothing out."""
    return True


def ours(
    module: nn.Module, recipe: str, emulate: bool, keep: Filter = every_layer, **fields: Any
) -> nn.Module:
    """Converts in place, with libfloat8."""
    config = float8.Float8LinearConfig.from_recipe_name(recipe)
    config = dataclasses.replace(config, emulate=emulate, **fields)
    return float8.convert_to_float8_training(module, config=config, module_filter_fn=keep)


def torchaos(
    module: nn.Module, recipe: str, emulate: bool, keep: Filter = every_layer, **fields: Any
) -> nn.Module:
    """Converts with torchao."""
    from torchao.float8 import Float8LinearConfig, convert_to_float8_training

    config = Float8LinearConfig.from_recipe_name(recipe)
    config = dataclasses.replace(config, emulate=emulate, **fields)
    return convert_to_float8_training(module, config=config, module_filter_fn=keep)


def copy_of(linear: nn.Linear) -> nn.Linear:
    """Another layer on the same parameters."""
    new = nn.Linear(linear.in_features, linear.out_features, bias=False, device="meta")
    new.weight = linear.weight
    return new


def compiled(module: nn.Module, rehearsal: bool) -> Callable[..., Any]:
    """As users compile; a rehearsal stops before the code is generated."""
    return torch.compile(
        module, dynamic=False, fullgraph=True, backend="aot_eager" if rehearsal else "inductor"
    )
