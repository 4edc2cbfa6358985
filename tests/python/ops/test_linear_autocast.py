"""Autocast casts the input; the weight is quantized from its own dtype, gradients keep theirs."""

import pytest
import torch
from checks import assert_same
from reference_linear import RECIPES, config_of, linear

from float8 import Float8Linear

LOW = [torch.bfloat16, torch.float16]


@pytest.mark.parametrize("dtype", LOW)
@pytest.mark.parametrize("name", RECIPES)
def test_against_float64(name, dtype):
    torch.manual_seed(0)
    config = config_of(name)
    layer = Float8Linear(80, 48, config=config)
    x = torch.randn(9, 80, requires_grad=True)
    g = torch.randn(9, 48).to(dtype)
    with torch.autocast("cpu", dtype=dtype):
        output = layer(x)
    output.backward(g)
    assert output.dtype == dtype
    assert x.grad.dtype == layer.weight.grad.dtype == layer.bias.grad.dtype == torch.float32
    expected = linear(x.detach().to(dtype), layer.weight.detach(), g, config)
    expected.output.assert_close(output.detach(), layer.bias.detach().to(dtype).double())
    expected.grad_input.assert_close(x.grad.to(dtype))
    if name == "rowwise_with_gw_hp":  # a product of two tensors of autocast's dtype
        expected.grad_weight.assert_close(layer.weight.grad.to(dtype))
    else:  # rounded once, to the weight's own dtype
        expected.grad_weight.assert_close(layer.weight.grad)


@pytest.mark.parametrize("name", RECIPES)
def test_backward_inside_of_autocast(name):
    """torchao 0.18 fails here on a CPU."""
    layer = Float8Linear(80, 48, config=config_of(name))
    x = torch.randn(9, 80, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer(x).sum().backward()
    inside = x.grad, layer.weight.grad, layer.bias.grad
    x.grad = layer.weight.grad = layer.bias.grad = None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = layer(x)
    output.sum().backward()
    for a, b in zip(inside, (x.grad, layer.weight.grad, layer.bias.grad), strict=True):
        assert_same(a, b)


@pytest.mark.parametrize("name", RECIPES)
def test_output_is_that_of_an_input_of_that_dtype(name):
    layer = Float8Linear(80, 48, config=config_of(name))
    x = torch.randn(9, 80)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = layer(x)
        with torch.autocast("cpu", enabled=False):
            assert layer(x).dtype == torch.float32
        with torch.no_grad():
            assert_same(layer(x), output.detach())
    assert_same(output, layer(x.bfloat16()))


@pytest.mark.parametrize("name", RECIPES)
def test_layer_and_input_of_different_dtypes(name):
    config = config_of(name)
    layer = Float8Linear(80, 48, dtype=torch.float32, config=config)
    x = torch.randn(9, 80, dtype=torch.bfloat16, requires_grad=True)
    g = torch.randn(9, 48).bfloat16()
    output = layer(x)
    output.backward(g)
    assert (output.dtype, x.grad.dtype) == (torch.bfloat16, torch.bfloat16)
    assert layer.weight.grad.dtype == layer.bias.grad.dtype == torch.float32
    expected = linear(x.detach(), layer.weight.detach(), g, config)
    expected.output.assert_close(output.detach(), layer.bias.detach().bfloat16().double())
    expected.grad_input.assert_close(x.grad)
