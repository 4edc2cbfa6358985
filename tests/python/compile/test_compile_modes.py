"""torch.compile with Inductor: every mode, one graph, the bits of eager mode for each layer."""

import pytest
import torch
from checks import assert_same
from reference_linear import RECIPES, config_of
from torch import nn

from float8 import convert_to_float8_training


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    # Headers compiled beforehand would cost more than the few kernels of these models.
    with torch._inductor.config.patch(cpp_cache_precompile_headers=False):
        yield
    torch._dynamo.reset()


class Model(nn.Module):
    """A block that returns what each of its layers got and gave."""

    def __init__(self, bias=True):
        super().__init__()
        torch.manual_seed(0)
        self.norm = nn.RMSNorm(80)
        self.gate = nn.Linear(80, 48, bias=bias)
        self.up = nn.Linear(80, 48, bias=bias)
        self.down = nn.Linear(48, 80, bias=bias)

    def forward(self, x):
        y = self.norm(x)
        gate, up = self.gate(y), self.up(y)
        z = nn.functional.silu(gate) * up
        return y, gate, up, z, self.down(z)


def convert(name, bias=True):
    return convert_to_float8_training(Model(bias).bfloat16(), config=config_of(name))


def tokens(*shape):
    return torch.randn(*shape, 80, generator=torch.Generator().manual_seed(1)).bfloat16()


def assert_layers_are_eagers(model, outputs):
    y, gate, up, z, down = outputs
    assert_same(gate, model.gate(y.detach()))
    assert_same(up, model.up(y.detach()))
    assert_same(down, model.down(z.detach()))


def assert_weights_gradients_are_eagers(model, call, x):
    """Given the same gradient; those that Inductor's own operations made may differ."""
    outputs = call(x)
    model.zero_grad()
    outputs[-1].backward(torch.ones_like(outputs[-1]), retain_graph=True)
    compiled = [p.grad for p in model.down.parameters()]
    model.zero_grad()
    expected = model.down(outputs[3].detach())
    expected.backward(torch.ones_like(expected))
    for actual, parameter in zip(compiled, model.down.parameters(), strict=True):
        assert_same(actual, parameter.grad)


@pytest.mark.parametrize("mode", ["default", "reduce-overhead", "max-autotune-no-cudagraphs"])
@pytest.mark.parametrize("name", RECIPES)
def test_modes(name, mode):
    model = convert(name)
    call = torch.compile(model, mode=mode, fullgraph=True)
    x = tokens(2, 9)
    assert_layers_are_eagers(model, call(x))
    assert_weights_gradients_are_eagers(model, call, x)


def test_dynamic_without_bias():
    model = convert("tensorwise", bias=False)
    call = torch.compile(model, dynamic=True, fullgraph=True)
    for shape in ((9,), (40,), (33,)):
        assert_layers_are_eagers(model, call(tokens(*shape)))
    with torch._dynamo.config.patch(error_on_recompile=True):
        assert_layers_are_eagers(model, call(tokens(129)))


@pytest.mark.parametrize("name", RECIPES)
def test_per_block(name):
    """Blocks share one compiled graph, as in a trainer that compiles block by block."""
    blocks = nn.Sequential(*(convert(name) for _ in range(3)))
    torch._dynamo.utils.counters.clear()
    calls = [torch.compile(block, backend="aot_eager", fullgraph=True) for block in blocks]
    x = tokens(2, 9)
    for block, call in zip(blocks, calls, strict=True):
        outputs = call(x)
        assert_layers_are_eagers(block, outputs)
        x = outputs[-1].detach()
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    assert not torch._dynamo.utils.counters["graph_break"]
