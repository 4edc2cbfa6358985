"""quantize and quantize_pair against the reference: every value, block, layout, with padding."""

import pytest
import reference as ref
import torch
from checks import assert_codes, assert_same, ops, poisoned_memory

BLOCKS = [ref.TENSOR, ref.ROW]


@pytest.fixture(autouse=True)
def _poisoned_memory():
    with poisoned_memory():
        yield


def assert_quantized(result, expected):
    assert_codes(result[0], expected[0])
    assert_same(result[1], expected[1])


@pytest.mark.parametrize("power_of_two", [False, True])
@pytest.mark.parametrize("format", ref.FORMATS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_every_16_bit_value_alone_in_its_row(dtype, format, power_of_two):
    x = ref.every_value(dtype).reshape(-1, 1)
    expected = ref.quantize(x, format, ref.ROW, power_of_two)
    assert_quantized(ops.quantize(x, format, ref.ROW, power_of_two), expected)
    assert_quantized(ops.quantize(x.t(), format, ref.ROW, power_of_two, True), expected)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("block", BLOCKS, ids=str)
@pytest.mark.parametrize("power_of_two", [False, True])
@pytest.mark.parametrize("format", ref.FORMATS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_every_16_bit_value_among_others(dtype, format, power_of_two, block, transpose):
    x = ref.every_value(dtype)
    finite = x[(x.isfinite()).all(1)]  # a tensor's scale is 0 or NaN with the others in it
    for values in (x, x.t(), finite, finite[:, ::9]):
        expected = ref.quantize(values, format, block, power_of_two, transpose)
        result = ops.quantize(values, format, block, power_of_two, transpose)
        assert_quantized(result, expected)


@pytest.mark.parametrize("block_t", BLOCKS, ids=str)
@pytest.mark.parametrize("block", BLOCKS, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (1, 33), (33, 1), (7, 48), (64, 256), (129, 261)])
@pytest.mark.parametrize("dtype", ref.HIGH_PRECISION)
def test_pair_is_two_calls(dtype, shape, block, block_t):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    for format, power_of_two in ((ref.E4M3, False), (ref.E5M2, True)):
        for values in (x, x.t()):
            result = ops.quantize_pair(values, format, block, block_t, power_of_two)
            expected = ref.quantize(values, format, block, power_of_two)
            expected_t = ref.quantize(values, format, block_t, power_of_two, transpose=True)
            assert_quantized(result[:2], expected)
            assert_quantized(result[2:], expected_t)


@pytest.mark.parametrize("shape", [(0, 32), (32, 0), (0, 0)])
@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_empty(shape, block):
    x = torch.empty(shape)
    for transpose in (False, True):
        expected = ref.quantize(x, ref.E4M3, block, False, transpose)
        assert_quantized(ops.quantize(x, ref.E4M3, block, False, transpose), expected)
    pair = ops.quantize_pair(x, ref.E4M3, block, block)
    assert_quantized(pair[:2], ref.quantize(x, ref.E4M3, block, False))
    assert_quantized(pair[2:], ref.quantize(x, ref.E4M3, block, False, transpose=True))


def test_all_zeros_have_a_finite_scale():
    for format in ref.FORMATS:
        data, scale_inv = ops.quantize(torch.zeros(4, 20), format, ref.ROW)
        assert_codes(data, torch.zeros(4, 32, dtype=torch.uint8))
        assert_same(1 / scale_inv, torch.full((4, 1), ref.LARGEST[format] / 1e-12))


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
@pytest.mark.parametrize("dtype", ref.HIGH_PRECISION)
def test_non_finite_values_never_become_finite(dtype, value):
    x = torch.ones(5, 33, dtype=dtype)
    x[2, 17] = value
    for block in BLOCKS:
        for format in ref.FORMATS:
            data, scale_inv, data_t, scale_inv_t = ops.quantize_pair(x, format, block, block)
            assert (ref.decode(data) * scale_inv)[2, 17].isnan()
            assert (ref.decode(data_t) * scale_inv_t)[17, 2].isnan()
            if block == ref.ROW:
                bad_rows = (ref.decode(data) * scale_inv).isnan().any(1)
                assert bad_rows.nonzero().flatten().tolist() == [2]


def test_after_changes_nothing():
    x, after = torch.randn(9, 20), torch.full((3,), torch.nan)
    plain = ops.quantize(x, ref.E4M3, ref.ROW, True, True)
    assert_quantized(
        ops.quantize(x, ref.E4M3, ref.ROW, True, True, after),
        (plain[0].view(torch.uint8), plain[1]),
    )


def test_input_is_not_changed():
    x = torch.randn(9, 20)
    before = x.clone()
    ops.quantize_pair(x, ref.E4M3, ref.TENSOR, ref.ROW, True)
    assert torch.equal(x, before)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
@pytest.mark.parametrize("shape", [(4160, 2112), (2112, 4111)])
def test_copies_larger_than_caches(shape, block):
    # The CPU writes them past its caches where their rows start cache lines, and both are tried.
    x = torch.randn(shape, dtype=torch.bfloat16) * torch.randn(1, shape[1]).exp().bfloat16()
    expected = ref.quantize(x, torch.float8_e4m3fn, block, False)
    expected_t = ref.quantize(x, torch.float8_e4m3fn, block, False, True)
    data, scale, data_t, scale_t = ops.quantize_pair(x, torch.float8_e4m3fn, block, block)
    assert_quantized((data, scale), expected)
    assert_quantized((data_t, scale_t), expected_t)
    transposed = ops.quantize(x, torch.float8_e4m3fn, block, False, True)
    assert_quantized(transposed, expected_t)
    assert_codes(ops.transpose(data), data.t().contiguous().view(torch.uint8))
