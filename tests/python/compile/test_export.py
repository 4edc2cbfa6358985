"""torch.export: a layer is one operator; the decompositions give the operators it is made of."""

import io

import pytest
import torch
from checks import assert_same
from reference_linear import RECIPES, config_of

from float8 import Float8Linear


def targets(program):
    nodes = (n for n in program.graph.nodes if n.op == "call_function")
    return [str(n.target) for n in nodes if "getitem" not in str(n.target)]


def save_and_load(program):
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    return torch.export.load(file)


@pytest.mark.filterwarnings("ignore:At pre-dispatch tracing")
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", RECIPES)
def test_export(name, strict):
    layer = Float8Linear(80, 48, config=config_of(name))
    tokens = torch.export.Dim("tokens", min=2, max=4096)
    program = torch.export.export(
        layer, (torch.randn(7, 80),), strict=strict, dynamic_shapes={"input": {0: tokens}}
    )
    assert targets(program) == ["float8.linear.default"]
    decomposed = program.run_decompositions()
    assert targets(decomposed).count("float8.scaled_mm.default") == 1
    assert "float8.linear.default" not in targets(decomposed)
    for tokens in (7, 33):
        x = torch.randn(tokens, 80)
        for exported in (program, decomposed, save_and_load(program)):
            assert_same(exported.module()(x), layer(x))


def test_an_exported_layer_trains():
    layer = Float8Linear(80, 48, config=config_of("tensorwise"))
    x = torch.randn(7, 80)
    exported = torch.export.export(layer, (x,)).module()
    exported(x).square().sum().backward()
    gradient = exported.weight.grad
    layer.zero_grad()
    layer(x).square().sum().backward()
    assert_same(gradient, layer.weight.grad)
