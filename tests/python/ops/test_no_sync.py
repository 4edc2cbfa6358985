"""Nothing reads a value on the host: what a CUDA graph records is what a step computes.

On fake tensors a read of a value is an error, and on the meta device there is none to read.
"""

import dataclasses

import pytest
import torch
from reference_linear import MIXED, RECIPES, config_of
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from float8 import Float8Linear


def step(layer, x):
    output = layer(x)
    output.square().sum().backward()
    return output, x.grad, *[p.grad for p in layer.parameters()]


@pytest.mark.parametrize("name", [*RECIPES, *MIXED])
def test_step_reads_no_value(name):
    config = config_of(name)
    with FakeTensorMode():
        layer = Float8Linear(80, 48, dtype=torch.bfloat16, config=config)
        x = torch.randn(2, 9, 80, dtype=torch.bfloat16, requires_grad=True)
        with pytest.raises(DataDependentOutputException):
            x.sum().item()  # it would be seen
        results = step(layer, x)
    with torch.device("meta"):
        layer = Float8Linear(80, 48, dtype=torch.bfloat16, config=config)
        x = torch.randn(2, 9, 80, dtype=torch.bfloat16, requires_grad=True)
        meta = step(layer, x)
    for fake, other in zip(results, meta, strict=True):
        assert (fake.shape, fake.stride(), fake.dtype) == (other.shape, other.stride(), other.dtype)


@pytest.mark.parametrize("name", RECIPES)
def test_step_on_a_fake_gpu(name):
    """The CUDA kernels' results have the sizes of the others."""
    config = dataclasses.replace(config_of(name), emulate=False)
    with FakeTensorMode(), torch.no_grad():
        layer = Float8Linear(80, 48, device="cuda", dtype=torch.bfloat16, config=config)
        output = layer(torch.empty(2, 9, 80, device="cuda", dtype=torch.bfloat16))
    assert output.shape == (2, 9, 48)
    assert output.device.type == "cuda"
