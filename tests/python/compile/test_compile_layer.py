"""torch.compile: one graph, forward and backward, the same bits as eager mode."""

import copy
from contextlib import contextmanager

import pytest
import torch
from checks import assert_same
from functorch.compile import make_boxed_func, min_cut_rematerialization_partition
from inductor_code import calls
from reference_linear import MIXED, RECIPES, config_of
from torch import nn
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.testing import CompileCounterWithBackend
from torch._subclasses.fake_tensor import FakeTensorMode

from float8 import Float8Linear, convert_to_float8_training


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def results(layer, call, x):
    """Output and gradients of one step."""
    layer.zero_grad()
    x = x.detach().requires_grad_()
    output = call(x)
    output.square().sum().backward()
    return output.detach(), x.grad, *[p.grad for p in layer.parameters()]


def assert_equal_results(layer, call, x):
    for compiled, eager in zip(results(layer, call, x), results(layer, layer, x), strict=True):
        assert_same(compiled, eager)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("name", [*RECIPES, *MIXED])
def test_equals_eager(name, dynamic, bias):
    torch.manual_seed(0)
    layer = Float8Linear(80, 48, bias, dtype=torch.bfloat16, config=config_of(name))
    call = torch.compile(layer, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for shape in ((7, 80), (2, 33, 80)):
        assert_equal_results(layer, call, torch.randn(shape).bfloat16())


@pytest.mark.parametrize("name", RECIPES)
def test_other_token_counts_recompile_at_most_once(name):
    layer = Float8Linear(80, 48, config=config_of(name))
    counter = CompileCounterWithBackend("aot_eager")
    call = torch.compile(layer, fullgraph=True, backend=counter)
    for tokens in (7, 16, 33, 64, 5):
        assert_equal_results(layer, call, torch.randn(tokens, 80))
    assert counter.frame_count <= 2


def test_inductor_equals_eager():
    """Layers whose results meet Inductor's own operations."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 96, bias=False), nn.ReLU())
    convert_to_float8_training(model, config=config_of("rowwise"))
    # Headers compiled beforehand would cost more than the two kernels of this model.
    with torch._inductor.config.patch(cpp_cache_precompile_headers=False):
        call = torch.compile(model, fullgraph=True, backend="inductor")
        assert_equal_results(model, call, torch.randn(9, 64))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", RECIPES)
def test_autocast_in_the_graph(name, dtype):
    layer = Float8Linear(80, 48, config=config_of(name))

    def step(x):
        with torch.autocast("cpu", dtype=dtype):
            return layer(x)

    call = torch.compile(step, fullgraph=True, backend="aot_eager")
    x = torch.randn(9, 80)
    for compiled, eager in zip(results(layer, call, x), results(layer, step, x), strict=True):
        assert_same(compiled, eager)


@contextmanager
def autocast_on_a_gpu(dtype):
    """torch.autocast("cuda") turns itself off where there is no GPU."""
    enabled, before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    torch.set_autocast_enabled("cuda", True)
    torch.set_autocast_dtype("cuda", dtype)
    try:
        yield
    finally:
        torch.set_autocast_enabled("cuda", enabled)
        torch.set_autocast_dtype("cuda", before)
        torch.clear_autocast_cache()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", RECIPES)
def test_autocast_on_a_gpu_in_the_graph(name, dtype):
    """On fake tensors: the input is cast, the weight is quantized from its own values.

    Without gradients: autograd's engine asks the GPU for its streams.
    """
    graphs = []
    backend = aot_autograd(fw_compiler=lambda graph, _: graphs.append(graph) or graph.forward)
    with FakeTensorMode(allow_non_fake_inputs=True):
        layer = Float8Linear(80, 48, device="cuda", config=config_of(name)).requires_grad_(False)
        x = torch.empty(2, 9, 80, device="cuda")
        with autocast_on_a_gpu(dtype):
            compiled = torch.compile(layer, fullgraph=True, backend=backend)(x)
            assert compiled.dtype == layer(x).dtype == dtype
        assert layer(x).dtype == torch.float32
    (graph,) = graphs
    assert [cast.args[0].meta["val"].dtype for cast in calls(graph, "float8.quantize")] == [
        dtype,
        torch.float32,
    ]
    (product,) = calls(graph, "float8.scaled_mm")
    assert product.kwargs["out_dtype"] == dtype


@pytest.mark.parametrize("recompute", [False, True])
def test_recomputed_weight_is_not_kept_by_a_partitioner(recompute):
    """Merging equal calls would move the backward pass's cast of the weight into the forward."""
    kept = []

    def forward_compiler(graph, _inputs):
        outputs = [node.meta["val"] for node in graph.graph.output_node().args[0]]
        kept.extend(t.shape for t in outputs if t.dtype.itemsize == 1)
        return make_boxed_func(graph.forward)

    backend = aot_autograd(
        fw_compiler=forward_compiler,
        bw_compiler=lambda graph, _inputs: make_boxed_func(graph.forward),
        partition_fn=min_cut_rematerialization_partition,
    )
    config = config_of("tensorwise", force_recompute_fp8_weight_in_bwd=recompute)
    layer = Float8Linear(80, 48, config=config)
    call = torch.compile(layer, fullgraph=True, backend=backend)
    assert_equal_results(layer, call, torch.randn(40, 80))
    # [K, pad16(M)] of the input; [K, N] of the weight, unless it is recomputed.
    assert kept == [(80, 48)] * (1 if recompute else 2)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("name", RECIPES)
def test_without_gradients(name, mode):
    layer = Float8Linear(80, 48, config=config_of(name))
    call = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x = torch.randn(9, 80)
    with mode():
        assert_same(call(x), layer(x))
    with mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert_same(call(x), layer(x))


@pytest.mark.parametrize("bad", [torch.inf, -torch.inf, torch.nan])
def test_values_that_are_not_finite(bad):
    layer = Float8Linear(80, 48, config=config_of("tensorwise"))
    x = torch.randn(9, 80)
    x[3, 5] = bad
    call = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert_equal_results(layer, call, x)
    assert call(x).isnan().all()


@pytest.mark.parametrize("tokens", [0, 1])
@pytest.mark.parametrize("name", RECIPES)
def test_no_token_and_one(name, tokens):
    layer = Float8Linear(80, 48, config=config_of(name))
    call = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert_equal_results(layer, call, torch.randn(9, 80))
    assert_equal_results(layer, call, torch.randn(tokens, 80))


def test_copies_of_a_compiled_layer_work():
    layer = Float8Linear(80, 48, config=config_of("tensorwise"))
    compiled = torch.compile(layer, backend="aot_eager")
    x = torch.randn(3, 80)
    assert_same(copy.deepcopy(compiled)(x), layer(x))


def test_checkpointed_layer_gives_the_same_gradients():
    layer = Float8Linear(80, 48, config=config_of("rowwise"))

    def checkpointed(x):
        return torch.utils.checkpoint.checkpoint(layer, x, use_reentrant=False)

    x = torch.randn(9, 80)
    for call in (checkpointed, torch.compile(checkpointed, fullgraph=True, backend="aot_eager")):
        assert_equal_results(layer, call, x)


@pytest.mark.parametrize("name", [*RECIPES, "output in high precision"])
def test_compiled_autograd(name):
    layer = Float8Linear(80, 48, dtype=torch.bfloat16, config=config_of(name))
    x = torch.randn(9, 80).bfloat16()
    eager = results(layer, layer, x)
    with torch._dynamo.compiled_autograd._enable(torch.compile(backend="aot_eager")):
        compiled = results(layer, layer, x)
    for a, b in zip(compiled, eager, strict=True):
        assert_same(a, b)
