"""What is in the graphs of a compiled step: the amax decomposed, inputs and weights cast once."""

import pytest
import torch
from inductor_code import calls, graphs_of
from reference_linear import RECIPES, config_of
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from float8 import Float8Linear, convert_to_float8_training


def leaf(*shape):
    return torch.randn(shape, dtype=torch.bfloat16, requires_grad=True)


def layer(name, **changes):
    return Float8Linear(80, 48, dtype=torch.bfloat16, config=config_of(name, **changes))


def names(graph):
    found = (str(n.target) for n in graph.graph.nodes if n.op == "call_function")
    return [name for name in found if "getitem" not in name]


@pytest.mark.parametrize("dynamic", [False, True])
def test_one_scale_for_the_tensor_decomposes(dynamic):
    forward, backward = graphs_of(layer("tensorwise"), leaf(2, 7, 80), dynamic=dynamic)
    for graph, tensors in ((forward, 2), (backward, 1)):  # input and weight; gradient
        assert len(calls(graph, "aten.amax")) == tensors
        casts = calls(graph, "float8.quantize_pair")
        assert len(casts) == tensors
        for cast in casts:
            known = cast.args[5]
            assert known.target is torch.ops.aten.amax.default
            assert known.meta["val"].dtype == torch.bfloat16
        assert not calls(graph, "float8.quantize")


def test_scales_for_rows_stay_one_operator():
    """It reads its tensor once; an amax beside it would be a second time."""
    forward, backward = graphs_of(layer("rowwise"), leaf(7, 80))
    for graph in (forward, backward):
        assert not calls(graph, "aten.amax")
        assert calls(graph, "float8.quantize_pair")


def test_without_gradients_one_copy_each():
    frozen = layer("tensorwise").requires_grad_(False)
    (graph,) = graphs_of(frozen, leaf(7, 80).detach())
    assert len(calls(graph, "aten.amax")) == len(calls(graph, "float8.quantize")) == 2
    assert not calls(graph, "float8.quantize_pair")


def test_an_empty_tensor_has_an_amax_too():
    def quantize(x):
        return torch.ops.float8.quantize(x, torch.float8_e4m3fn, [0, 0])[1]

    compiled = torch.compile(quantize, backend="aot_eager", fullgraph=True)
    for shape in ((0, 32), (32, 0)):
        assert torch.equal(compiled(torch.empty(shape)), quantize(torch.empty(shape)))


def test_eager_mode_runs_the_fused_operators():
    linear, x = layer("tensorwise"), leaf(7, 80)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        linear(x).sum().backward()
    ran = [event.name for event in profile.events()]
    assert ran.count("float8::quantize_pair") == 3
    assert "aten::amax" not in ran


def test_tracing_that_does_not_functionalize_keeps_the_operators():
    x = torch.randn(7, 80)
    graph = make_fx(lambda x: torch.ops.float8.quantize(x, torch.float8_e4m3fn, [0, 0]))(x)
    assert names(graph) == ["float8.quantize.default"]


class Attention(nn.Module):
    """As in a language model: three projections of one input, and two of another."""

    def __init__(self, **options):
        super().__init__()
        for name in ("q", "k", "v", "gate", "up"):
            self.add_module(name, nn.Linear(80, 48, dtype=torch.bfloat16, **options))

    def forward(self, x):
        attention = self.q(x) * self.k(x) + self.v(x)
        y = torch.cat([attention, attention], -1)[..., :80].tanh()
        return self.gate(y) * self.up(y)


@pytest.mark.parametrize("name", RECIPES)
def test_shared_inputs_are_cast_once(name):
    model = convert_to_float8_training(Attention(bias=False), config=config_of(name))
    forward, _ = graphs_of(model, leaf(2, 9, 80))
    casts = calls(forward, "float8.quantize_pair") + calls(forward, "float8.quantize")
    weights = 5
    assert len(casts) == weights + 2
    assert len({cast.args[0] for cast in casts}) == weights + 2
    if name == "tensorwise":
        assert len(calls(forward, "aten.amax")) == weights + 2


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("name", RECIPES)
def test_recomputed_weight_stays_in_the_backward_graph(name, recompute):
    """Merging equal calls, or the partitioner, would move its cast into the forward pass."""
    model = layer(name, force_recompute_fp8_weight_in_bwd=recompute)
    forward, backward = graphs_of(model, leaf(40, 80))
    outputs = [node.meta["val"] for node in forward.graph.output_node().args[0]]
    kept = [tuple(t.shape) for t in outputs if t.dtype.itemsize == 1]
    input_copy = [] if name == "rowwise_with_gw_hp" else [(80, 48)]
    assert kept == input_copy + ([] if recompute else [(80, 48)])
    weight_casts = [
        c for c in calls(backward, "float8.quantize") if c.args[5:6] not in ((), (None,))
    ]
    assert len(weight_casts) == recompute
