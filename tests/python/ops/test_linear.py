"""The layer's output and three gradients against the float64 products of the same FP8 operands."""

import pytest
import torch
from checks import assert_same
from reference_linear import MIXED, RECIPES, config_of, linear
from torch import nn

from float8 import Float8Linear


def make(config, n=48, k=80, bias=True, dtype=torch.float32, seed=0):
    torch.manual_seed(seed)
    return Float8Linear(k, n, bias=bias, dtype=dtype, config=config)


def run(layer, x, grad_output):
    """The output and the gradients of input, weight and bias."""
    x = x.detach().requires_grad_()
    output = layer(x)
    output.backward(grad_output)
    bias_grad = None if layer.bias is None else layer.bias.grad
    return output.detach(), x.grad, layer.weight.grad, bias_grad


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", [*RECIPES, *MIXED])
def test_against_float64(name, dtype, bias):
    config = config_of(name)
    layer = make(config, bias=bias, dtype=dtype)
    for tokens in (1, 7, 33, 64):
        layer.zero_grad()
        x, g = torch.randn(tokens, 80).to(dtype), torch.randn(tokens, 48).to(dtype)
        output, grad_input, grad_weight, grad_bias = run(layer, x, g)
        expected = linear(x, layer.weight.detach(), g, config)
        assert {t.dtype for t in (output, grad_input, grad_weight)} == {dtype}
        expected.output.assert_close(output, layer.bias.detach().double() if bias else 0.0)
        expected.grad_input.assert_close(grad_input)
        expected.grad_weight.assert_close(grad_weight)
        if bias:
            assert grad_bias.dtype == dtype
            torch.testing.assert_close(grad_bias, g.double().sum(0).to(dtype), rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("lead", [(), (6,), (2, 3), (2, 1, 3)], ids=str)
def test_inputs_of_one_to_four_dimensions(lead, name):
    layer = make(config_of(name))
    flat_x, flat_g = torch.randn(6, 80), torch.randn(6, 48)
    if not lead:
        flat_x, flat_g = flat_x[:1], flat_g[:1]
    expected = run(layer, flat_x, flat_g)
    layer.weight.grad = layer.bias.grad = None
    output, grad_input, *others = run(layer, flat_x.reshape(*lead, 80), flat_g.reshape(*lead, 48))
    assert_same(output, expected[0].reshape(*lead, 48))
    assert_same(grad_input, expected[1].reshape(*lead, 80))
    for actual, other in zip(others, expected[2:], strict=True):
        assert_same(actual, other)


@pytest.mark.parametrize("name", [*RECIPES, *MIXED])
@pytest.mark.parametrize("shape", [(0, 80), (2, 0, 80)], ids=str)
def test_no_tokens(shape, name):
    layer = make(config_of(name))
    x = torch.empty(shape)
    output, grad_input, grad_weight, grad_bias = run(layer, x, torch.empty(*shape[:-1], 48))
    assert output.shape == (*shape[:-1], 48)
    assert grad_input.shape == shape
    assert_same(grad_weight, torch.zeros(48, 80))
    assert_same(grad_bias, torch.zeros(48))


@pytest.mark.parametrize("name", RECIPES)
def test_inputs_and_gradients_of_any_strides(name):
    layer = make(config_of(name))
    x, g = torch.randn(80, 12).t(), torch.randn(1, 48).expand(12, 48)
    expected = run(layer, x.contiguous(), g.contiguous())
    layer.weight.grad = layer.bias.grad = None
    for actual, other in zip(run(layer, x, g), expected, strict=True):
        assert_same(actual, other)


@pytest.mark.parametrize("n", [48, 41])
@pytest.mark.parametrize("k", [80, 37])
@pytest.mark.parametrize("name", RECIPES)
def test_sizes_that_need_padding(name, k, n):
    config = config_of(name, pad_inner_dim=True)
    layer = make(config, n=n, k=k)
    x, g = torch.randn(9, k), torch.randn(9, n)
    output, grad_input, grad_weight, _ = run(layer, x, g)
    expected = linear(x, layer.weight.detach(), g, config)
    expected.output.assert_close(output, layer.bias.detach())
    expected.grad_input.assert_close(grad_input)
    expected.grad_weight.assert_close(grad_weight)


@pytest.mark.parametrize("name", [*RECIPES, *MIXED])
def test_recomputed_weight_gives_the_same_bits(name):
    x, g = torch.randn(24, 80), torch.randn(24, 48)
    changes = {} if name == "recomputed weight" else {"force_recompute_fp8_weight_in_bwd": True}
    recomputed = run(make(config_of(name, **changes)), x, g)
    kept = config_of("tensorwise" if name == "recomputed weight" else name)
    for actual, expected in zip(recomputed, run(make(kept), x, g), strict=True):
        assert_same(actual, expected)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_non_finite_values_never_become_finite(name, value):
    layer = make(config_of(name))
    x, g = torch.randn(10, 80), torch.randn(10, 48)
    x[3, 5] = value
    output, _, grad_weight, _ = run(layer, x, g)
    rows = [3] if name != "tensorwise" else list(range(10))
    assert output.isfinite().all(1).logical_not().nonzero().flatten().tolist() == rows
    assert not output[3].isfinite().any()
    assert not grad_weight[:, 5].isfinite().any()
    x[3, 5] = 1.0
    g[2, 7] = value
    _, grad_input, grad_weight, grad_bias = run(make(config_of(name)), x, g)
    rows = [2] if name != "tensorwise" else list(range(10))
    assert grad_input.isfinite().all(1).logical_not().nonzero().flatten().tolist() == rows
    assert not grad_weight[7].isfinite().any()
    assert grad_bias.isfinite().logical_not().nonzero().flatten().tolist() == [7]


def test_outputs_alias_no_input_and_inputs_stay():
    layer = make(config_of("no FP8 at all"), bias=False)
    x = torch.randn(5, 80)
    tensors = [x, layer.weight.detach()]
    before = [t.clone() for t in tensors]
    storage = layer(x).untyped_storage().data_ptr()
    assert storage not in [t.untyped_storage().data_ptr() for t in tensors]
    for tensor, copy in zip(tensors, before, strict=True):
        assert_same(tensor, copy)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_without_gradients_the_output_is_the_same(context):
    layer = make(config_of("rowwise"))
    x = torch.randn(5, 80)
    with context():
        quiet = layer(x)
    assert not quiet.requires_grad
    assert_same(quiet.clone(), layer(x).detach())


def test_function_of_nn_linear_when_nothing_is_cast():
    layer = make(config_of("no FP8 at all"))
    plain = nn.Linear(80, 48)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(5, 80)
    assert_same(layer(x), plain(x))
