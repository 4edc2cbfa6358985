"""More than 2^31 elements: shapes on the meta device, and with FLOAT8_LARGE=1 (13 GB) for real."""

import os

import pytest
import reference as ref
import torch
from checks import assert_codes, assert_same, ops
from reference_linear import RECIPES, config_of

import float8

ROWS, COLUMNS = 2**16 + 24, 2**15 + 8  # neither a multiple of 16
assert ROWS * COLUMNS > 2**31

real = pytest.mark.skipif(
    os.environ.get("FLOAT8_LARGE") != "1", reason="takes 13 GB of memory; FLOAT8_LARGE=1 runs it"
)


def test_shapes_on_meta():
    x = torch.empty(ROWS, COLUMNS, dtype=torch.bfloat16, device="meta")
    for block in (ref.TENSOR, ref.ROW):
        data, scale_inv, data_t, scale_inv_t = ops.quantize_pair(x, ref.E4M3, block, block)
        assert data.shape == (ROWS, ref.pad16(COLUMNS))
        assert data_t.shape == (COLUMNS, ref.pad16(ROWS))
        assert scale_inv.shape == ((ROWS, 1) if block == ref.ROW else (1, 1))
        assert scale_inv_t.shape == ((COLUMNS, 1) if block == ref.ROW else (1, 1))
        assert ops.transpose(data).shape == (ref.pad16(COLUMNS), ref.pad16(ROWS))
        assert ops.dequantize(data, scale_inv, torch.bfloat16).shape == data.shape
    out = ops.scaled_mm(data, data, scale_inv, scale_inv, out_dtype=torch.bfloat16)
    assert out.shape == (ROWS, ROWS)


@pytest.mark.parametrize("name", RECIPES)
def test_a_layers_shapes_on_meta(name):
    layer = float8.Float8Linear(2**15, 2**17, device="meta", config=config_of(name))
    x = torch.empty(2**17, 2**15, device="meta", requires_grad=True)
    output = layer(x)
    output.sum().backward()
    assert output.shape == (2**17, 2**17)
    assert x.grad.shape == x.shape
    assert layer.weight.grad.shape == layer.weight.shape


@real
def test_every_element_of_a_large_tensor():
    """What lies beyond 2^31 elements is cast as if it stood alone."""
    x = torch.empty(ROWS, COLUMNS, dtype=torch.bfloat16)
    generator = torch.Generator().manual_seed(0)
    for part in x.split(4096):
        part.normal_(generator=generator)
    x[-1, -1] = 77.0  # the amax is the very last element
    assert ops.amax(x, ref.TENSOR).item() == 77.0
    scale = ops.amax_to_scale(ops.amax(x, ref.TENSOR), ref.E4M3)
    first, last = x[:40].clone(), x[-40:].clone()
    data, scale_inv = ops.quantize(x, ref.E4M3, ref.TENSOR)
    assert_same(scale_inv, scale.reciprocal())
    assert_codes(data[:40], ref.cast(first, scale, ref.E4M3))
    assert_codes(data[-40:], ref.cast(last, scale, ref.E4M3))
    assert_same(
        ops.dequantize(data, scale_inv, torch.bfloat16)[-40:],
        ops.dequantize(data[-40:], scale_inv, torch.bfloat16),
    )
    moved = ops.transpose(data)
    assert_codes(moved[COLUMNS:], torch.zeros(8, ref.pad16(ROWS), dtype=torch.uint8))
    straight = data.view(torch.uint8)[-40:, :COLUMNS].t()
    assert_same(moved.view(torch.uint8)[:COLUMNS, ROWS - 40 : ROWS], straight)
    del moved
    by_rows, row_scale_inv = ops.quantize(x, ref.E4M3, ref.ROW, True)
    codes, expected = ref.quantize(last, ref.E4M3, ref.ROW, True)
    assert_codes(by_rows[-40:], codes)
    assert_same(row_scale_inv[-40:], expected)
    # A sum over rows whose products lie on both sides of 2^31.
    ones = torch.ones(1, by_rows.shape[1]).to(ref.E4M3)
    one = torch.ones(1, 1)
    sums = ops.scaled_mm(by_rows, ones, row_scale_inv, one, out_dtype=torch.float32)
    exact = (ref.decode(by_rows[-40:]) * row_scale_inv[-40:]).sum(1, keepdim=True)
    torch.testing.assert_close(sums[-40:].double(), exact, rtol=1e-5, atol=1e-3)
