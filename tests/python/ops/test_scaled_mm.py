"""scaled_mm against the float64 product of the same operands, in both of its CPU arithmetics."""

import pytest
import reference as ref
import torch
from checks import assert_same, ops, poisoned_memory

SHAPES = [(1, 1, 16), (1, 48, 32), (48, 1, 32), (7, 33, 96), (65, 130, 272), (128, 64, 1040)]
PAIRS = [(ref.E4M3, ref.E4M3), (ref.E5M2, ref.E4M3), (ref.E4M3, ref.E5M2)]
# Relative error of one rounding to the result's dtype.
ROUNDING = {dtype: torch.finfo(dtype).eps / 2 for dtype in ref.HIGH_PRECISION}

pytestmark = pytest.mark.filterwarnings("ignore:TF32 acceleration")  # mkldnn.flags sets that, too


@pytest.fixture(autouse=True, params=["default", "float32"])
def _arithmetic(request):
    """The GEMM that this processor gets, and the one that every processor has."""
    with torch.backends.mkldnn.flags(enabled=request.param == "default"), poisoned_memory():
        yield


def operand(rows: int, k: int, format: torch.dtype, block: list[int], seed: int):
    x = torch.randn(rows, k, generator=torch.Generator().manual_seed(seed))
    return ops.quantize(x * torch.logspace(-1, 1, rows)[:, None], format, block)


@pytest.mark.parametrize("block", [ref.TENSOR, ref.ROW], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("pair", PAIRS, ids=["e4m3 e4m3", "e5m2 e4m3", "e4m3 e5m2"])
def test_against_float64(pair, shape, block):
    m, n, k = shape
    a, scale_a = operand(m, k, pair[0], block, seed=0)
    b, scale_b = operand(n, k, pair[1], block, seed=1)
    a64, b64 = ref.decode(a) * scale_a, ref.decode(b) * scale_b
    exact, magnitude = a64 @ b64.t(), a64.abs() @ b64.abs().t()
    for dtype, rounding in ROUNDING.items():
        result = ops.scaled_mm(a, b, scale_a, scale_b, out_dtype=dtype)
        assert result.dtype == dtype
        assert ref.calc_diff(result, exact) < max(rounding**2, 1e-11)  # the contract says 1e-3
        # 1e-6: what float32 sums of up to 1040 products lose, seen at most 2e-7.
        assert ((result - exact).abs() <= 2 * rounding * exact.abs() + 1e-6 * magnitude).all()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", ref.HIGH_PRECISION)
def test_products_that_float32_holds_are_exact(dtype, bias):
    """Integers leave only the roundings of the epilogue, each of which is then known."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randint(-8, 9, (70, 304), generator=generator).float()
    b = torch.randint(-8, 9, (90, 304), generator=generator).float()
    scale_a = torch.rand(70, 1, generator=generator)
    scale_b = torch.rand(90, 1, generator=generator)
    added = torch.randn(90, generator=generator).to(dtype) if bias else None
    for rows, columns in ((scale_a, scale_b), (scale_a[:1], scale_b), (scale_a, scale_b[:1])):
        product = (a.double() @ b.double().t()).float()
        expected = (product * (rows * columns.t())).to(dtype)
        if added is not None:
            expected = expected + added  # after the rounding, in the result's dtype
        args = (a.to(ref.E4M3), b.to(ref.E4M3), rows, columns, added)
        assert_same(ops.scaled_mm(*args, out_dtype=dtype), expected)


@pytest.mark.parametrize("shape", [(0, 5, 32), (5, 0, 32), (5, 7, 0), (0, 0, 0)], ids=str)
def test_empty(shape):
    m, n, k = shape
    a, b = (torch.empty(rows, k).to(ref.E4M3) for rows in (m, n))
    one = torch.ones(1, 1)
    bias = torch.randn(n)
    assert_same(ops.scaled_mm(a, b, one, one, out_dtype=torch.float32), torch.zeros(m, n))
    result = ops.scaled_mm(a, b, one, one, bias, out_dtype=torch.float32)
    assert_same(result, bias.expand(m, n).contiguous())


@pytest.mark.parametrize("place", [(0, 0), (69, 303), (33, 100)])
def test_nan_stays_in_its_row_and_column(place):
    a, b = torch.ones(70, 304), torch.ones(50, 304)
    a[place] = torch.nan
    one = torch.ones(1, 1)
    a8, b8 = a.to(ref.E4M3), b.to(ref.E4M3)
    result = ops.scaled_mm(a8, b8, one, one, out_dtype=torch.bfloat16)
    assert result[place[0]].isnan().all()
    assert result.isnan().sum() == 50
    result = ops.scaled_mm(b8, a8, one, one, out_dtype=torch.bfloat16)
    assert result[:, place[0]].isnan().all()
    assert result.isnan().sum() == 50


def test_any_strides_and_flags():
    a, scale_a = operand(24, 64, ref.E4M3, ref.ROW, seed=0)
    b, scale_b = operand(40, 64, ref.E4M3, ref.ROW, seed=1)
    bias = torch.randn(40)
    expected = ops.scaled_mm(a, b, scale_a, scale_b, bias, out_dtype=torch.float32)
    strided = (
        a.view(torch.uint8).t().contiguous().t().view(ref.E4M3),
        b.view(torch.uint8).repeat(1, 2)[:, :64].view(ref.E4M3),
        scale_a.repeat(1, 3)[:, 1:2],
        scale_b.repeat(1, 3)[:, 1:2],
        torch.stack([bias, bias], 1)[:, 0],
    )
    for fast, emulate in ((False, False), (True, False), (False, True)):
        result = ops.scaled_mm(
            *strided, out_dtype=torch.float32, use_fast_accum=fast, emulate=emulate
        )
        assert_same(result, expected)
