"""cast, dequantize and transpose against the reference: every value, every tie, every layout."""

import pytest
import reference as ref
import torch
from checks import assert_codes, assert_same, ops, poisoned_memory

SHAPES = [(1, 1), (1, 40), (40, 1), (7, 16), (16, 7), (63, 255), (64, 256), (65, 257), (200, 520)]


@pytest.fixture(autouse=True)
def _poisoned_memory():
    with poisoned_memory():
        yield


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    """Values over the whole range of float32's exponents that FP8 data has."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.randn(shape, generator=generator) * 8
    return torch.randn(shape, generator=generator) * torch.exp2(spread)


@pytest.mark.parametrize("scale", [1.0, 448.0, 3.3e-12, 7.7e11, 1e38, 0.0, torch.nan])
@pytest.mark.parametrize("format", ref.FORMATS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_every_16_bit_value(dtype, format, scale):
    x = ref.every_value(dtype)
    scale = torch.tensor([[scale]])
    assert_codes(ops.cast(x, scale, format), ref.cast(x, scale, format))


@pytest.mark.parametrize("format", ref.FORMATS)
def test_float32_around_every_tie(format):
    values = ref.code_values(format)
    values = values[values <= ref.LARGEST[format]].float()
    ties = (values[1:] + values[:-1]) / 2
    around = torch.cat([values, ties, torch.tensor([1e-45, 1e30, torch.inf, torch.nan])])
    steps = torch.arange(-3, 4, dtype=torch.int32)[:, None]
    x = (around.view(torch.int32) + steps).view(torch.float32)
    x = torch.cat([x, -x])
    one = torch.ones(1, 1)
    assert_codes(ops.cast(x, one, format), ref.cast(x, one, format))


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ref.HIGH_PRECISION)
def test_every_layout_of_scale_and_result(dtype, shape, transpose):
    x = random(*shape).to(dtype)
    for scale_shape in ((1, 1), (shape[0], 1), (1, shape[1])):
        scale = random(*scale_shape, seed=1).abs()
        for format in ref.FORMATS:
            expected = ref.cast(x, scale, format, transpose)
            assert_codes(ops.cast(x, scale, format, transpose), expected)


@pytest.mark.parametrize("transpose", [False, True])
def test_any_strides(transpose):
    x = random(96, 80).bfloat16()
    scale = random(1, 80, seed=1).abs()
    for view in (x.t(), x[::3, 5:], x[:1].expand(33, 80), x.flip(0)):
        factor = scale[:, : view.shape[1]] if view.shape[1] <= 80 else torch.ones(1, 1)
        expected = ref.cast(view, factor, ref.E4M3, transpose)
        assert_codes(ops.cast(view, factor, ref.E4M3, transpose), expected)
    column = scale.expand(4, 80)[1:2].t()  # a scale of other strides than its size says
    assert_codes(
        ops.cast(x.t(), column, ref.E4M3, transpose),
        ref.cast(x.t(), column, ref.E4M3, transpose),
    )


@pytest.mark.parametrize("dtype", ref.HIGH_PRECISION)
@pytest.mark.parametrize("format", ref.FORMATS)
def test_dequantize_every_code(format, dtype):
    data = torch.arange(256, dtype=torch.uint8).reshape(4, 64).view(format)
    generator = torch.Generator().manual_seed(2)
    for shape in ((1, 1), (4, 1), (1, 64)):
        scale_inv = torch.rand(shape, generator=generator)
        expected = (ref.decode(data).float() * scale_inv).to(dtype)
        assert_same(ops.dequantize(data, scale_inv, dtype), expected)
        assert_same(ops.dequantize(data.t(), scale_inv.t(), dtype), expected.t())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("format", ref.FORMATS)
def test_transpose_moves_bytes_and_pads_with_zeros(format, shape):
    generator = torch.Generator().manual_seed(3)
    codes = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    assert_codes(ops.transpose(codes.view(format)), ref.padded(codes.t()))
    assert_codes(ops.transpose(codes.t().view(format)), ref.padded(codes))


@pytest.mark.parametrize("shape", [(0, 32), (32, 0)])
def test_empty(shape):
    x, one = torch.empty(shape), torch.ones(1, 1)
    for transpose in (False, True):
        assert_codes(ops.cast(x, one, ref.E4M3, transpose), ref.cast(x, one, ref.E4M3, transpose))
    data = torch.empty(shape, dtype=torch.uint8).view(ref.E4M3)
    assert ops.transpose(data).shape == (shape[1], ref.pad16(shape[0]))
    assert ops.dequantize(data, one, torch.float32).shape == shape
