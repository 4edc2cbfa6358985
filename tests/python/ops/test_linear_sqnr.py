"""Accuracy against the unquantized float64 product: no worse than torchao's Float8Linear."""

import dataclasses

import pytest
import reference as ref
import torch
import torchao.float8 as torchao
from reference_linear import RECIPES, config_of
from torchao.float8.float8_linear import Float8Linear as TorchaoLinear

from float8 import Float8Linear

# Two right float32 sums differ by up to 0.0005 dB.
TOLERANCE_DB = 0.01


def torchao_config(name):
    config = torchao.Float8LinearConfig.from_recipe_name(name)
    return dataclasses.replace(config, emulate=True)


def results(layer, x, grad_output):
    x = x.detach().requires_grad_()
    output = layer(x)
    output.backward(grad_output)
    return output.detach(), x.grad, layer.weight.grad, layer.bias.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(64, 256, 128), (33, 96, 160), (256, 64, 512)], ids=str)
@pytest.mark.parametrize("name", RECIPES)
def test_sqnr_is_no_worse_than_torchaos(name, shape, dtype):
    m, n, k = shape
    torch.manual_seed(0)
    ours = Float8Linear(k, n, dtype=dtype, config=config_of(name))
    theirs = TorchaoLinear(k, n, dtype=dtype, config=torchao_config(name))
    theirs.load_state_dict(ours.state_dict())
    # A few large columns, as activations have.
    x = (torch.randn(m, k) * torch.logspace(-1.5, 0.5, k)).to(dtype)
    g = (torch.randn(m, n) * 1e-4).to(dtype)
    w, bias = ours.weight.detach().double(), ours.bias.detach().double()
    exact = (
        x.double() @ w.t() + bias,
        g.double() @ w,
        g.double().t() @ x.double(),
        g.double().sum(0),
    )
    for values, mine, other in zip(exact, results(ours, x, g), results(theirs, x, g), strict=True):
        assert ref.sqnr(values, mine) >= ref.sqnr(values, other) - TOLERANCE_DB
        assert ref.sqnr(values, mine) > 20  # E5M2 alone costs most: some 26 dB are left
