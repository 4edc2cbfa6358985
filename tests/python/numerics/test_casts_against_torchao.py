"""Casts and scales against torchao 0.18 and float64, with inputs that hypothesis draws.

The exhaustive tests of single values are in tests/python/ops; here are the combinations: a dtype,
values near powers of two, a layout in memory, one special value in some place.
"""

import pytest
import reference as ref
import torch
from checks import assert_codes, assert_same, ops
from hypothesis import given, settings
from hypothesis import strategies as st
from torchao.float8.config import ScalingGranularity
from torchao.float8.float8_scaling_utils import hp_tensor_to_float8_dynamic
from torchao.float8.float8_training_tensor import LinearMMConfig

BITS = {torch.float32: torch.int32, torch.bfloat16: torch.int16, torch.float16: torch.int16}
SPECIALS = [torch.inf, -torch.inf, torch.nan, 0.0, -0.0]

# How a [M, K] matrix may lie in memory; each returns a tensor of the same values.
LAYOUTS = {
    "contiguous": lambda x: x.clone(),
    "transposed": lambda x: x.t().contiguous().t(),
    "every second row and column": lambda x: x.repeat_interleave(2, 0).repeat_interleave(2, 1)[
        ::2, ::2
    ],
    # One element in: neither rows nor the first value lie at a multiple of 16 bytes.
    "misaligned": lambda x: torch.cat([x.new_zeros(1), x.flatten()])[1:].view(x.shape),
    "part of a wider matrix": lambda x: torch.nn.functional.pad(x, (3, 5))[:, 3:-5],
    "backwards in memory": lambda x: x.flip(0).contiguous().flip(0),
}


def next_to(value: float, ulps: int, dtype: torch.dtype) -> float:
    """The value of `dtype` some units in the last place above a positive value."""
    bits = torch.tensor(value, dtype=dtype).view(BITS[dtype]) + ulps
    return float(bits.view(dtype).float())


@st.composite
def matrices(draw) -> torch.Tensor:
    """[M, K]: values of any magnitude, amax near a power of two, perhaps a special value."""
    dtype = draw(st.sampled_from(ref.HIGH_PRECISION))
    rows, columns = draw(st.integers(1, 6)), draw(st.sampled_from([1, 2, 15, 16, 17, 33, 70]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    smallest = -24 if dtype == torch.float16 else -140
    largest = 15 if dtype == torch.float16 else 127
    top = draw(st.integers(smallest + 12, largest))
    amax = next_to(2.0**top, draw(st.sampled_from([-1, 0, 1])), dtype)
    # Magnitudes from the amax down to far below what FP8 still holds, subnormal ones included.
    depth = draw(st.sampled_from([0, 4, 20, 60]))
    exponents = torch.rand(rows, columns, generator=generator) * -depth
    values = torch.randn(rows, columns, generator=generator).sign() * torch.exp2(exponents) * amax
    x = values.to(dtype)
    x[draw(st.integers(0, rows - 1)), draw(st.integers(0, columns - 1))] = amax
    if draw(st.booleans()):
        place = draw(st.integers(0, rows - 1)), draw(st.integers(0, columns - 1))
        x[place] = draw(st.sampled_from(SPECIALS))
    if draw(st.booleans()):
        x[draw(st.integers(0, rows - 1))] = 0
    return LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))](x)


def torchaos(x, format, block, power_of_two, axis):
    """torchao's data as bytes and its scale; the axis is the one along which rows are scaled."""
    options = {"scaling_granularity": ScalingGranularity.AXISWISE, "axiswise_dim": axis}
    theirs = hp_tensor_to_float8_dynamic(
        x,
        format,
        LinearMMConfig(),
        round_scales_to_power_of_2=power_of_two,
        **(options if block == ref.ROW else {}),
    )
    data = theirs._data
    # torch's cast of NaN keeps a sign that the hardware's does not have; ours writes 0x7F.
    codes = torch.where(data.float().isnan(), ref.NAN_CODE, data.view(torch.uint8))
    return codes.to(torch.uint8), theirs._scale


@given(
    x=matrices(),
    format=st.sampled_from(ref.FORMATS),
    block=st.sampled_from([ref.TENSOR, ref.ROW]),
    power_of_two=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_data_and_scales_are_torchaos_and_float64s(x, format, block, power_of_two):
    for transpose in (False, True):
        data, scale_inv = ops.quantize(x, format, block, power_of_two, transpose)
        codes, expected = ref.quantize(x, format, block, power_of_two, transpose)
        assert_codes(data, codes)
        assert_same(scale_inv, expected)
        theirs, scale = torchaos(x, format, block, power_of_two, 0 if transpose else -1)
        theirs = theirs.t() if transpose else theirs
        assert_same(data.view(torch.uint8)[:, : theirs.shape[1]], theirs)
        assert_same(scale_inv.flatten(), scale.reciprocal().flatten())


@given(x=matrices(), format=st.sampled_from(ref.FORMATS), power_of_two=st.booleans())
@settings(max_examples=80, deadline=None)
def test_what_the_scale_promises(x, format, power_of_two):
    """The amax lands on the format's end, or with powers of two within a factor of 2 below it."""
    amax = float(x.float().abs().max())
    data, scale_inv = ops.quantize(x, format, ref.TENSOR, power_of_two)
    if not x.isfinite().all():
        assert not (ref.decode(data) * scale_inv)[:, : x.shape[1]][~x.isfinite()].isfinite().any()
        return
    reached = float(ref.decode(data).abs().max())
    assert reached <= ref.LARGEST[format]
    if amax >= 2e-12:
        assert reached >= ref.LARGEST[format] * (0.49 if power_of_two else 1)
    back = ref.decode(data)[:, : x.shape[1]] * scale_inv.double()
    # Half a step of the format in the value's binade, or of its subnormal numbers.
    relative = 2.0 ** -(ref.MANTISSA_BITS[format] + 1) * 1.001
    smallest = 2.0 ** (-ref.EXPONENT_BIAS[format] - ref.MANTISSA_BITS[format]) * float(scale_inv)
    error = (back - x.double()).abs()
    assert (error <= relative * x.double().abs() + 1.001 * smallest).all()


@pytest.mark.parametrize("power_of_two", [False, True])
@pytest.mark.parametrize("format", ref.FORMATS)
@pytest.mark.parametrize("dtype", ref.HIGH_PRECISION)
def test_amax_at_every_power_of_two_and_one_ulp_beside_it(dtype, format, power_of_two):
    exponents = range(-24, 16) if dtype == torch.float16 else range(-149, 128)
    amaxes = [
        next_to(2.0**k, ulps, dtype)
        for k in exponents
        if torch.tensor(2.0**k).to(dtype) > 0
        for ulps in (-1, 0, 1)
    ]
    x = torch.tensor(amaxes, dtype=torch.float32).to(dtype)[:, None] * torch.tensor([[1.0, -1.0]])
    x = x.to(dtype)
    data, scale_inv = ops.quantize(x, format, ref.ROW, power_of_two)
    theirs, scale = torchaos(x, format, ref.ROW, power_of_two, -1)
    assert_same(data.view(torch.uint8)[:, :2], theirs)
    assert_same(scale_inv, scale.reciprocal())


@pytest.mark.parametrize("power_of_two", [False, True])
@pytest.mark.parametrize("format", ref.FORMATS)
def test_the_largest_scale_and_the_smallest(format, power_of_two):
    """Below 1e-12 the scale stops growing; float32's largest value still has a normal one."""
    rows = torch.tensor([[0.0], [1e-45], [1e-38], [9.99e-13], [1e-12], [1e-11], [3.4028235e38]])
    scale = ops.amax_to_scale(ops.amax(rows, ref.ROW), format, power_of_two)
    assert (scale[:4] == scale[0]).all()
    assert scale.isfinite().all()
    assert (scale > torch.finfo(torch.float32).tiny).all()
    data, scale_inv = ops.quantize(rows, format, ref.ROW, power_of_two)
    theirs, torchaos_scale = torchaos(rows, format, ref.ROW, power_of_two, -1)
    assert_same(data.view(torch.uint8)[:, :1], theirs)
    assert_same(scale_inv, torchaos_scale.reciprocal())
    assert (scale_inv.isfinite() & (scale_inv > 0)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 64), (64, 1), (1, 4097), (4097, 1)], ids=str)
@pytest.mark.parametrize("layout", [*LAYOUTS, "expanded"])
def test_one_row_and_one_column_in_every_layout(layout, shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).bfloat16()
    x = x[:1, :1].expand(shape) if layout == "expanded" else LAYOUTS[layout](x)
    for block in (ref.TENSOR, ref.ROW):
        for transpose in (False, True):
            data, scale_inv = ops.quantize(x, ref.E4M3, block, True, transpose)
            codes, expected = ref.quantize(x, ref.E4M3, block, True, transpose)
            assert_codes(data, codes)
            assert_same(scale_inv, expected)
