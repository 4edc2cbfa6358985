"""Scales and FP8 data are torchao's, bit for bit, over every finite bf16 value."""

import pytest
import reference as ref
import torch
from checks import assert_same, ops
from torchao.float8.config import ScalingGranularity
from torchao.float8.float8_scaling_utils import hp_tensor_to_float8_dynamic
from torchao.float8.float8_training_tensor import LinearMMConfig
from torchao.float8.float8_utils import tensor_to_scale

AXISWISE = {"scaling_granularity": ScalingGranularity.AXISWISE, "axiswise_dim": -1}


def all_finite(dtype: torch.dtype, columns: int) -> torch.Tensor:
    values = ref.every_value(torch.bfloat16).flatten()
    return values[values.isfinite()].reshape(-1, columns).to(dtype)


@pytest.mark.parametrize("power_of_two", [False, True])
@pytest.mark.parametrize("format", ref.FORMATS)
def test_scale_of_every_finite_bf16_value(format, power_of_two):
    for dtype in (torch.bfloat16, torch.float32):
        x = all_finite(dtype, 1)
        expected = tensor_to_scale(x, format, round_scales_to_power_of_2=power_of_two, **AXISWISE)
        assert_same(ops.amax_to_scale(ops.amax(x, ref.ROW), format, power_of_two), expected)
        _, scale_inv = ops.quantize(x, format, ref.ROW, power_of_two)
        assert_same(scale_inv, expected.reciprocal())


@pytest.mark.parametrize("columns", [1, 160, 65280])
@pytest.mark.parametrize("power_of_two", [False, True])
@pytest.mark.parametrize("format", ref.FORMATS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("block", [ref.TENSOR, ref.ROW], ids=str)
def test_data_and_scale_of_every_finite_bf16_value(block, dtype, format, power_of_two, columns):
    x = all_finite(dtype, columns)
    theirs = hp_tensor_to_float8_dynamic(
        x,
        format,
        LinearMMConfig(),
        round_scales_to_power_of_2=power_of_two,
        **(AXISWISE if block == ref.ROW else {}),
    )
    data, scale_inv = ops.quantize(x, format, block, power_of_two)
    assert_same(scale_inv.flatten(), theirs._scale.reciprocal().flatten())
    assert_same(data[:, :columns].float(), theirs._data.float())
    same_bits = data[:, :columns].view(torch.uint8) == theirs._data.view(torch.uint8)
    assert (same_bits | theirs._data.float().isnan()).all()


@pytest.mark.parametrize("power_of_two", [False, True])
@pytest.mark.parametrize("format", ref.FORMATS)
def test_transposed_copy_is_torchaos_other_axis(format, power_of_two):
    x = torch.randn(48, 100, generator=torch.Generator().manual_seed(0)).bfloat16()
    theirs = hp_tensor_to_float8_dynamic(
        x,
        format,
        LinearMMConfig(),
        scaling_granularity=ScalingGranularity.AXISWISE,
        axiswise_dim=0,
        round_scales_to_power_of_2=power_of_two,
    )
    data, scale_inv = ops.quantize(x, format, ref.ROW, power_of_two, transpose=True)
    assert_same(data.view(torch.uint8), theirs._data.t().contiguous().view(torch.uint8))
    assert_same(scale_inv, theirs._scale.t().reciprocal())
