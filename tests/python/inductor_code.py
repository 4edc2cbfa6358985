"""What torch.compile makes of a model: Inductor's graphs, and the code for a CPU or a GPU.

The code is text: nothing compiles or runs it. So that for a GPU needs none: Inductor asks a device
for little more than its properties before it has written its code, and those of an H100 stand in.
"""

from __future__ import annotations

import copy
import re
import types
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import torch
from functorch.compile import make_boxed_func
from torch import Tensor, nn
from torch._dynamo.device_interface import CudaInterface
from torch._inductor.compile_fx import compile_fx, record_original_output_strides
from torch._inductor.debug import DebugContext
from torch._inductor.graph import GraphLowering
from torch._inductor.runtime.hints import DeviceProperties
from torch._inductor.virtualized import V
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx import GraphModule
from torch.fx.passes.fake_tensor_prop import FakeTensorProp


def graphs_of(module: nn.Module, *inputs: Tensor, **options: object) -> list[GraphModule]:
    """The graphs of one step, forward and backward, as Inductor gets them."""
    graphs: list[GraphModule] = []

    def keep(graph: GraphModule, _inputs: object, **_options: object) -> object:
        graphs.append(copy.deepcopy(graph))
        return make_boxed_func(graph.forward)

    torch._dynamo.reset()
    call = torch.compile(
        module,
        fullgraph=True,
        backend=lambda graph, inputs: compile_fx(graph, inputs, inner_compile=keep),
        **options,
    )
    output = call(*inputs)
    if output.requires_grad:
        output.sum().backward()
    return graphs


def calls(graph: GraphModule, name: str) -> list[torch.fx.Node]:
    """The calls of an operator in a graph; the name is "float8.quantize_pair" or "aten.amax"."""
    namespace, operator = name.split(".")
    packet = getattr(getattr(torch.ops, namespace), operator)
    return [n for n in graph.graph.nodes if getattr(n.target, "overloadpacket", None) is packet]


def code_of(graph: GraphModule, device: str) -> str:
    """Inductor's code for a graph of graphs_of, on "cpu" or "cuda"."""
    graph = copy.deepcopy(graph)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode, ExitStack() as stack:
        inputs = [
            torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device=device)
            for t in (n.meta["val"] for n in graph.graph.find_nodes(op="placeholder"))
        ]
        FakeTensorProp(graph, mode).propagate_dont_convert_inputs(*inputs)
        record_original_output_strides(graph)
        if device == "cuda":
            stack.enter_context(_an_h100())
        lowering = GraphLowering(graph, example_inputs=inputs)
        stack.enter_context(V.set_graph_handler(lowering))
        stack.enter_context(V.set_fake_mode(mode))
        stack.enter_context(V.set_debug_handler(DebugContext()))
        lowering.run(*inputs)
        return lowering.codegen()[0].value


def quantized_tensors(code: str) -> list[str]:
    """The names of the tensors that the code passes to quantize and quantize_pair."""
    pattern = r"float8\.quantize(?:_pair)?\.default\((?:reinterpret_tensor\()?(\w+)"
    return re.findall(pattern, code)


def reads(code: str, tensor: str) -> int:
    """How many loads of generated kernels read a tensor of the wrapper's code."""
    count = 0
    for kernel, listed in re.findall(r"^ +(\w+?)(?:\.run)?\(((?:\w+, )+\w+[^()]*)\)$", code, re.M):
        arguments = listed.split(", ")
        source = _source(code, kernel)
        if source and tensor in arguments:
            parameters = re.search(r"(?:def|void) +\w+\(([^)]*)\)", source)
            assert parameters
            names = re.findall(r"(\w+)(?: : tl\.constexpr)?(?:,|$)", parameters[1])
            name = names[arguments.index(tensor)]
            count += len(re.findall(rf"(?:tl\.load|loadu)\({name} \+", source))
    return count


def _source(code: str, kernel: str) -> str | None:
    found = re.search(rf"^{kernel} = async_compile\.(.*?)^'''", code, re.M | re.S)
    return found[1] if found else None


H100 = {
    "regs_per_multiprocessor": 65536,
    "max_threads_per_multi_processor": 2048,
    "multi_processor_count": 132,
    "warp_size": 32,
    "major": 9,
}


@contextmanager
def _an_h100() -> Iterator[None]:
    device = types.SimpleNamespace(**H100, name="NVIDIA H100", minor=0)
    described = DeviceProperties(type="cuda", index=0, cc=90, **H100)
    replaced = {
        "torch.cuda.is_available": lambda: True,
        "torch.cuda.current_device": lambda: 0,
        "torch.cuda.get_device_properties": lambda *_: device,
        "torch.cuda.get_device_capability": lambda *_: (9, 0),
        "torch._subclasses.fake_tensor.init_gpu_context": lambda _: None,
        "torch._inductor.scheduler.has_triton": lambda: True,
        "torch.utils._triton.triton_backend": lambda: None,
        "torch.utils._triton.triton_hash_with_backend": lambda: "none",
    }
    with ExitStack() as stack:
        for name, value in replaced.items():
            stack.enter_context(mock.patch(name, value))
        for owner, name, method in (
            (DeviceProperties, "create", classmethod(lambda *_: described)),
            (CudaInterface.Worker, "get_device_properties", staticmethod(lambda *_: device)),
            (CudaInterface, "get_compute_capability", staticmethod(lambda *_: 90)),
        ):
            stack.enter_context(mock.patch.object(owner, name, method))
        yield
