"""A layer in what only a GPU has: graphs, streams, a compiler that writes kernels."""

import dataclasses

import pytest
import torch
from checks import assert_same
from torch import nn

from float8 import Float8Linear, Float8LinearConfig

RECIPES = ["tensorwise", "rowwise", "rowwise_with_gw_hp"]
TOKENS, K, N = 64, 96, 128


def layer_on(device, recipe, bias=True):
    """A layer, an input that wants a gradient, and a gradient of the output."""
    torch.manual_seed(0)
    config = Float8LinearConfig.from_recipe_name(recipe)
    config = dataclasses.replace(config, emulate=device.emulate)
    linear = nn.Linear(K, N, bias=bias, dtype=torch.bfloat16, device=device.name)
    x = torch.randn(TOKENS, K, dtype=torch.bfloat16, device=device.name, requires_grad=True)
    grad = torch.randn(TOKENS, N, dtype=torch.bfloat16, device=device.name)
    return Float8Linear.from_float(linear, config), x, grad


def step(call, layer, x, grad):
    """The output and all gradients."""
    output = call(x)
    return output.detach(), *torch.autograd.grad(output, (x, *layer.parameters()), grad)


@pytest.mark.parametrize("autocast", [None, torch.float16])
@pytest.mark.parametrize("recipe", RECIPES)
def test_compiled_gives_eagers_bits(device, recipe, autocast):
    torch._dynamo.reset()
    layer, x, grad = layer_on(device, recipe)

    def call(x):
        with torch.autocast(x.device.type, dtype=autocast, enabled=autocast is not None):
            return layer(x)

    compiled = torch.compile(
        call, fullgraph=True, backend="aot_eager" if device.emulate else "inductor"
    )
    grad = grad.to(autocast or grad.dtype)
    for a, b in zip(step(compiled, layer, x, grad), step(call, layer, x, grad), strict=True):
        assert_same(a, b)


@pytest.mark.parametrize("recipe", RECIPES)
def test_is_captured_in_a_graph_and_replayed_on_new_values(gpu, recipe):
    layer, x, grad = layer_on(gpu, recipe)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step(layer, layer, x, grad)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step(layer, layer, x, grad)
    for seed in (1, 2):
        generator = torch.Generator(device="cuda").manual_seed(seed)
        with torch.no_grad():
            x.copy_(torch.randn(x.shape, device="cuda", generator=generator) * 10**seed)
            grad.copy_(torch.randn(grad.shape, device="cuda", generator=generator))
        graph.replay()
        torch.cuda.synchronize()
        for a, b in zip(captured, step(layer, layer, x, grad), strict=True):
            assert_same(a, b)


def test_copies_made_before_a_capture_are_not_captured(gpu):
    """The second layer shares the input with the first, whose copies are gone at the replay."""
    first, x, _ = layer_on(gpu, "tensorwise")
    second, _, _ = layer_on(gpu, "tensorwise")
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.stream(stream):
        second(x)
        first(x)  # its copies of x wait for another layer
        with torch.cuda.graph(graph, stream=stream):
            captured = second(x).detach()
    torch.cuda.current_stream().wait_stream(stream)
    with torch.no_grad():
        x.mul_(3)
    graph.replay()
    torch.cuda.synchronize()
    assert_same(captured, second(x).detach())


def test_copies_of_one_stream_are_not_read_in_another(gpu):
    first, x, _ = layer_on(gpu, "tensorwise")
    second, _, _ = layer_on(gpu, "tensorwise")
    expected = second(x.clone()).detach()
    streams = [torch.cuda.Stream(), torch.cuda.Stream()]
    torch.cuda.synchronize()
    busy = torch.randn(4096, 4096, device="cuda")
    with torch.cuda.stream(streams[0]):
        for _ in range(4):
            busy = busy @ busy  # the copies that follow are late
        first(x)
    with torch.cuda.stream(streams[1]):
        got = second(x).detach()
    torch.cuda.synchronize()
    assert_same(got, expected)


@pytest.mark.parametrize("recipe", RECIPES)
def test_runs_on_the_current_stream(gpu, recipe):
    layer, x, grad = layer_on(gpu, recipe)
    expected = step(layer, layer, x, grad)
    streams = [torch.cuda.Stream() for _ in range(4)]
    busy = torch.randn(4096, 4096, device="cuda")
    for stream in streams:
        stream.wait_stream(torch.cuda.current_stream())
    results = []
    for stream in streams:  # each stream's input is late; a layer on another stream would miss it
        with torch.cuda.stream(stream):
            late = (x.detach() + 0 * (busy @ busy)[0, 0]).bfloat16().requires_grad_()
            results.append(step(layer, layer, late, grad))
    torch.cuda.synchronize()
    for result in results:
        for a, b in zip(result, expected, strict=True):
            assert_same(a, b)


def test_steps_do_not_grow_in_memory(gpu):
    layer, x, grad = layer_on(gpu, "tensorwise")
    step(layer, layer, x, grad)
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    for _ in range(20):
        step(layer, layer, x, grad)
    torch.cuda.synchronize()
    assert torch.cuda.memory_allocated() == before
