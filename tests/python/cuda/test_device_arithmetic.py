"""The device's own conversions and logarithm: the only code that is not the host's."""

import pytest
import reference
import torch
from checks import assert_codes, assert_same, ops
from reference import COLUMN, FORMATS, HIGH_PRECISION, ROW, TENSOR


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_every_16_bit_value_is_encoded_as_specified(device, dtype, transpose, format_):
    values = reference.every_value(dtype)
    one = torch.ones(1, 1)
    data = ops.cast(values.to(device.name), one.to(device.name), format_, transpose).cpu()
    assert_codes(data, reference.encode(values.t() if transpose else values, format_))


@pytest.mark.parametrize("format_", FORMATS)
def test_float32_is_rounded_once_also_near_ties(device, format_):
    # Each boundary between two codes, and the 8 float32 values on either side of it.
    codes = torch.arange(256, dtype=torch.uint8).view(format_)
    finite = reference.decode(codes).to(torch.float64)
    finite = finite[finite.isfinite()].sort().values
    ties = ((finite[1:] + finite[:-1]) / 2).float()
    bits = ties.view(torch.int32)[:, None] + torch.arange(-8, 9, dtype=torch.int32)
    values = bits.view(torch.float32)
    data = ops.cast(values.to(device.name), torch.ones(1, 1, device=device.name), format_).cpu()
    assert_codes(data, reference.padded(reference.encode(values, format_)))


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("dtype", HIGH_PRECISION)
def test_powers_of_two_are_exact_for_every_exponent(device, dtype, format_):
    # Around each power of two: where a logarithm that is a little off rounds to the wrong side.
    powers = torch.exp2(torch.arange(-126, 128, dtype=torch.float64)).float()
    amax = torch.cat([(powers.view(torch.int32) + step).view(torch.float32) for step in (-1, 0, 1)])
    largest = reference.LARGEST[format_]
    amax = torch.cat([amax, largest * powers, largest / powers]).to(dtype)
    amax = amax[amax.isfinite()][:, None]
    scale = ops.amax_to_scale(amax.to(device.name), format_, True).cpu()
    assert_same(scale, reference.scale(amax, format_, power_of_two=True))


@pytest.mark.parametrize("block", [TENSOR, ROW, COLUMN])
def test_large_tensors_give_the_same_bytes_every_time(device, block):
    # Blocks that overtake each other differ from run to run; a race would show sooner or later.
    generator = torch.Generator().manual_seed(0)
    rows, columns = (96, 80) if device.emulate else (4096, 4096)
    x = torch.randn(rows, columns, generator=generator).bfloat16().to(device.name)
    block_t = TENSOR if block == TENSOR else ROW
    straight = TENSOR if block == TENSOR else ROW
    first = ops.quantize_pair(x, torch.float8_e4m3fn, straight, block_t)
    for _ in range(2 if device.emulate else 200):
        again = ops.quantize_pair(x, torch.float8_e4m3fn, straight, block_t)
        for a, b in zip(first, again, strict=True):
            assert torch.equal(a.view(torch.uint8), b.view(torch.uint8))
