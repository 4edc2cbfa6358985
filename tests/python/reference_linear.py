"""A linear layer's output and gradients in float64, from the same FP8 operands as the layer's."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import reference as ref
import torch
from torch import Tensor

from float8 import CastConfig, Float8LinearConfig, ScalingGranularity, ScalingType

DISABLED = CastConfig(scaling_type=ScalingType.DISABLED)
AXISWISE = CastConfig(scaling_granularity=ScalingGranularity.AXISWISE)
AXISWISE_E4M3 = CastConfig(
    scaling_granularity=ScalingGranularity.AXISWISE, target_dtype=torch.float8_e4m3fn
)
E5M2 = CastConfig(target_dtype=torch.float8_e5m2)
E4M3 = CastConfig(target_dtype=torch.float8_e4m3fn)
RECIPES = ["tensorwise", "rowwise", "rowwise_with_gw_hp"]

#: Configurations that no recipe gives.
MIXED = {
    "powers of two": {"round_scales_to_power_of_2": True},
    "e4m3 gradients": {"cast_config_grad_output": E4M3},
    "e5m2 input": {"cast_config_input": E5M2, "cast_config_grad_output": E4M3},
    "rows of the input only": {"cast_config_input": AXISWISE},
    "rows of the weight's gradient only": {
        "cast_config_input_for_grad_weight": AXISWISE,
        "cast_config_grad_output_for_grad_weight": CastConfig(
            scaling_granularity=ScalingGranularity.AXISWISE, target_dtype=torch.float8_e5m2
        ),
    },
    "output in high precision": {
        "cast_config_input": DISABLED,
        "cast_config_input_for_grad_weight": CastConfig(),
        "cast_config_weight": DISABLED,
        "cast_config_weight_for_grad_input": CastConfig(),
    },
    "input's gradient in high precision": {
        "cast_config_weight_for_grad_input": DISABLED,
        "cast_config_grad_output": DISABLED,
        "cast_config_grad_output_for_grad_weight": E5M2,
    },
    "no FP8 at all": {
        "cast_config_input": DISABLED,
        "cast_config_weight": DISABLED,
        "cast_config_grad_output": DISABLED,
    },
    "recomputed weight": {"force_recompute_fp8_weight_in_bwd": True},
}


def config_of(name: str, **changes) -> Float8LinearConfig:
    """A recipe or a mixed configuration by its name, emulated."""
    if name in RECIPES:
        config = Float8LinearConfig.from_recipe_name(name)
        return dataclasses.replace(config, emulate=True, **changes)
    return Float8LinearConfig(**MIXED[name], emulate=True, **changes)


class Product(NamedTuple):
    """A matrix product and the sum of its terms' magnitudes, which bounds float32's error."""

    value: Tensor
    magnitude: Tensor

    def assert_close(self, actual: Tensor, bias: Tensor | float = 0.0) -> None:
        """One rounding of the product, another of the sum with the bias; 1e-6 for float32 sums."""
        expected = self.value + bias
        rounding = torch.finfo(actual.dtype).eps * (self.value.abs() + expected.abs())
        assert actual.shape == expected.shape
        assert ((actual - expected).abs() <= rounding + 1e-6 * self.magnitude + 1e-30).all()


class Gradients(NamedTuple):
    """What a linear layer computes for x [M, K], weight [N, K], grad_output [M, N]."""

    output: Product
    grad_input: Product
    grad_weight: Product


def linear(x: Tensor, weight: Tensor, grad_output: Tensor, c: Float8LinearConfig) -> Gradients:
    """The three products, before any rounding of their results."""

    def operand(values: Tensor, cast: CastConfig) -> Tensor:
        if cast.scaling_type is ScalingType.DISABLED:
            return values.double()
        rowwise = cast.scaling_granularity is ScalingGranularity.AXISWISE
        codes, scale_inv = ref.quantize(
            values,
            cast.target_dtype,
            ref.ROW if rowwise else ref.TENSOR,
            c.round_scales_to_power_of_2,
        )
        return (ref.decode(codes.view(cast.target_dtype)) * scale_inv)[:, : values.shape[1]]

    def product(a: Tensor, cast_a: CastConfig, b: Tensor, cast_b: CastConfig) -> Product:
        a, b = operand(a, cast_a), operand(b, cast_b)
        return Product(a @ b.t(), a.abs() @ b.abs().t())

    return Gradients(
        product(x, c.cast_config_input, weight, c.cast_config_weight),
        product(
            grad_output,
            c.cast_config_grad_output,
            weight.t(),
            c.cast_config_weight_for_grad_input,
        ),
        product(
            grad_output.t(),
            c.cast_config_grad_output_for_grad_weight,
            x.t(),
            c.cast_config_input_for_grad_weight,
        ),
    )
