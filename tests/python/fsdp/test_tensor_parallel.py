"""Tensor parallelism of FP8 layers is not there: whoever asks for it is told so."""

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, distribute_module, distribute_tensor
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    parallelize_module,
)

import float8

CONFIG = float8.Float8LinearConfig(emulate=True)


@pytest.fixture
def mesh():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


def model():
    return nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32))


def convert(module):
    return float8.convert_to_float8_training(module, config=CONFIG)


def parallelize(module, mesh):
    return parallelize_module(module, mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})


def prepare_input(module, mesh):
    plan = PrepareModuleInput(input_layouts=Replicate(), desired_input_layouts=Replicate())
    return parallelize_module(module, mesh, plan)


@pytest.mark.parametrize("grad", [torch.enable_grad, torch.inference_mode])
@pytest.mark.parametrize(
    "make",
    [
        lambda mesh: parallelize(convert(model()), mesh),
        lambda mesh: convert(parallelize(model(), mesh)),
        lambda mesh: prepare_input(convert(model()), mesh),
    ],
)
def test_a_layer_with_distributed_tensors_is_an_error(mesh, make, grad):
    module = make(mesh)
    with grad(), pytest.raises(NotImplementedError, match=r"got a DTensor.*no tensor parallelism"):
        module(torch.randn(4, 32))


def test_a_distributed_module_is_an_error(mesh):
    module = distribute_module(convert(model()), mesh)
    x = distribute_tensor(torch.randn(4, 32), mesh, [Replicate()])
    with pytest.raises(NotImplementedError, match=r"\(Replicate\(\),\) as input \[4, 32\]"):
        module(x)


def test_layers_that_are_left_out_can_be_sharded(mesh):
    module = float8.convert_to_float8_training(
        model(), config=CONFIG, module_filter_fn=lambda _, name: name == "2"
    )
    parallelize_module(module, mesh, {"0": ColwiseParallel(output_layouts=Replicate())})
    module(torch.randn(4, 32)).sum().backward()
    assert module[0].weight.grad is not None


def test_other_errors_of_a_layer_stay_their_own():
    with pytest.raises(RuntimeError, match=r"\[linear\]"):
        convert(model())(torch.randn(4, 31))


@pytest.mark.parametrize(
    "name", ["Float8ColwiseParallel", "Float8RowwiseParallel", "PrepareFloat8ModuleInput"]
)
def test_torchaos_names_say_so(name):
    with pytest.raises(ImportError, match=f"got {name}: there is no tensor parallelism"):
        exec(f"from float8 import {name}")
    with pytest.raises(ImportError, match="cannot import name"):
        exec(f"from float8 import {name}s")
    assert not hasattr(float8, f"{name}s")
