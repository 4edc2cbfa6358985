"""amax_to_scale: every finite 16-bit amax, and powers of two where float32 logarithms round up."""

import decimal
import math
import struct

import pytest
import reference as ref
import torch
from checks import assert_same, ops


@pytest.mark.parametrize("power_of_two", [False, True])
@pytest.mark.parametrize("format", ref.FORMATS)
@pytest.mark.parametrize("dtype", ref.HIGH_PRECISION)
def test_every_amax(dtype, format, power_of_two):
    values = ref.every_value(torch.bfloat16 if dtype == torch.float32 else dtype).abs().to(dtype)
    amax = values[~values.isnan()]
    scale = ops.amax_to_scale(amax, format, power_of_two)
    assert scale.dtype == torch.float32
    assert_same(scale, ref.scale(amax, format, power_of_two))
    assert (scale[amax.isinf()] == 0).all()
    assert scale[amax.isfinite()].isfinite().all()


@pytest.mark.parametrize("format", ref.FORMATS)
def test_power_of_two_clears_the_mantissa_for_16_bit_amaxes(format):
    for dtype in (torch.bfloat16, torch.float16):
        values = ref.every_value(dtype).abs()
        amax = values[values.isfinite()]
        bits = ops.amax_to_scale(amax, format).view(torch.int32) & ~(2**23 - 1)
        assert_same(ops.amax_to_scale(amax, format, True), bits.view(torch.float32))


def nudged(value: float, ulps: int) -> float:
    """The float32 that lies some units in the last place above a value."""
    (bits,) = struct.unpack("<i", struct.pack("<f", value))
    return struct.unpack("<f", struct.pack("<i", bits + ulps))[0]


def exponent_of(scale: float) -> int:
    """floor(L) for the correctly rounded float32 logarithm L, with 60 digits."""
    with decimal.localcontext(prec=60):
        exact = decimal.Decimal(scale).ln() / decimal.Decimal(2).ln()
        k = math.floor(exact) + 1
        # L is k where the logarithm lies at most half a step below it.
        step = decimal.Decimal(k) - decimal.Decimal(nudged(k, -1 if k > 0 else 1) if k else -0.0)
        return k if exact >= k - step / 2 else k - 1


@pytest.mark.parametrize("format", ref.FORMATS)
def test_power_of_two_next_to_powers_of_two(format):
    exponents = range(-100, 39)
    amaxes = [
        nudged(ref.LARGEST[format] * 2.0**k, ulps) for k in exponents for ulps in range(-9, 25)
    ]
    amax = torch.tensor([a for a in amaxes if a > 1e-12])
    scale = ops.amax_to_scale(amax, format)
    expected = torch.tensor([2.0 ** exponent_of(s) for s in scale.tolist()])
    assert_same(ops.amax_to_scale(amax, format, True), expected)
    cleared = (scale.view(torch.int32) & ~(2**23 - 1)).view(torch.float32)
    assert (expected != cleared).any()  # the inputs reach the case that tells the two apart


def test_special_amaxes():
    amax = torch.tensor([0.0, 1e-13, 1e-12, torch.inf, torch.nan])
    smallest = torch.tensor(448 / 1e-12).item()
    expected = torch.tensor([smallest, smallest, 448 / torch.tensor(1e-12).double(), 0, torch.nan])
    assert_same(ops.amax_to_scale(amax, ref.E4M3), expected.float())
    assert ops.amax_to_scale(amax, ref.E4M3, True)[:3].tolist() == [2.0**48] * 3
    assert ops.amax_to_scale(amax, ref.E5M2, True)[3] == 0
    assert ops.amax_to_scale(amax, ref.E5M2, True)[4].isnan()


@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3, 4)])
def test_any_shape(shape):
    amax = torch.rand(shape)
    assert_same(ops.amax_to_scale(amax, ref.E5M2), ref.scale(amax, ref.E5M2, False))
    strided = torch.rand(6, 4).t()[::2]
    assert_same(ops.amax_to_scale(strided, ref.E5M2), ref.scale(strided, ref.E5M2, False))
