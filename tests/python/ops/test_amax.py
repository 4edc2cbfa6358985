"""amax against torch, over every value and every block, special values included."""

import pytest
import reference as ref
import torch
from checks import assert_same, ops

BLOCKS = [ref.TENSOR, ref.ROW, ref.COLUMN]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_every_16_bit_value(dtype, block):
    x = ref.every_value(dtype)
    for layout in (x, x.t(), x[:, :101], x[1:128:3, 7::5], x[5:6].expand(33, 256)):
        assert_same(ops.amax(layout, block), ref.amax(layout, block))


@pytest.mark.parametrize("dtype", ref.HIGH_PRECISION)
def test_single_values_are_their_own_amax(dtype):
    x = ref.every_value(torch.bfloat16).reshape(-1, 1).to(dtype)
    assert_same(ops.amax(x, ref.ROW), x.abs())
    assert_same(ops.amax(x.t(), ref.COLUMN), x.t().abs())


@pytest.mark.parametrize("block", BLOCKS, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (1, 77), (77, 1), (3, 5), (130, 257), (513, 64)])
def test_float32_of_any_shape(shape, block):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert_same(ops.amax(x, block), ref.amax(x, block))


@pytest.mark.parametrize("block", BLOCKS, ids=str)
@pytest.mark.parametrize("shape", [(0, 32), (32, 0), (0, 0)])
def test_empty_blocks_have_amax_zero(shape, block):
    x = torch.empty(shape, dtype=torch.bfloat16)
    assert_same(ops.amax(x, block), ref.amax(x, block))


@pytest.mark.parametrize("dtype", ref.HIGH_PRECISION)
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("place", [(0, 0), (4, 18), (7, 36)])
def test_nan_wins_over_infinity_and_infinity_over_the_rest(dtype, sign, place):
    x = torch.full((8, 37), torch.finfo(dtype).max, dtype=dtype)
    x[place] = sign * torch.inf
    for block in BLOCKS:
        assert ops.amax(x, block).isinf().sum() == 1
    x[place[0]] = torch.inf
    x[place] = sign * torch.nan
    for block in BLOCKS:
        result = ops.amax(x, block)
        assert result.isnan().sum() == 1
        assert_same(result, ref.amax(x, block))


def test_float32_subnormals_are_not_flushed():
    x = torch.tensor([[1e-45, -3e-45], [0.0, -0.0]])
    assert_same(ops.amax(x, ref.ROW), torch.tensor([[3e-45], [0.0]]))
