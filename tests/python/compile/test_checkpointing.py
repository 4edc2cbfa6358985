"""Activation checkpointing changes no bit, in eager mode and compiled, and keeps what it says."""

import functools

import pytest
import torch
from checks import CallCounter, assert_same
from inductor_code import calls, graphs_of
from reference_linear import RECIPES, config_of
from torch import nn
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)

from float8 import Float8Linear


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


class Block(nn.Module):
    def __init__(self, name):
        super().__init__()
        torch.manual_seed(0)
        self.up = Float8Linear(80, 48, config=config_of(name))
        self.down = Float8Linear(48, 80, config=config_of(name))

    def forward(self, x):
        return x + self.down(torch.nn.functional.silu(self.up(x)))


class Checkpointed(nn.Module):
    def __init__(self, block, **options):
        super().__init__()
        self.block = block
        self.options = options

    def forward(self, x):
        return checkpoint(self.block, x, **self.options)


def keep_products(_context, operator, *_args, **_options):
    kept = operator is torch.ops.float8.scaled_mm.default
    return CheckpointPolicy.MUST_SAVE if kept else CheckpointPolicy.PREFER_RECOMPUTE


SELECTIVE = functools.partial(create_selective_checkpoint_contexts, keep_products)
KINDS = {
    "reentrant": {"use_reentrant": True},
    "non-reentrant": {"use_reentrant": False},
    "selective": {"use_reentrant": False, "context_fn": SELECTIVE},
}


def step(module, call):
    module.zero_grad()
    x = torch.randn(9, 80, generator=torch.Generator().manual_seed(1)).requires_grad_()
    output = call(x)
    output.square().sum().backward()
    return output.detach(), x.grad, *[p.grad for p in module.parameters()]


def assert_equal_steps(module, call):
    for actual, expected in zip(step(module, call), step(module, module), strict=True):
        assert_same(actual, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", RECIPES)
def test_eager(name, kind):
    block = Block(name)
    assert_equal_steps(block, Checkpointed(block, **KINDS[kind]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", RECIPES)
def test_compiled(name, kind):
    block = Block(name)
    call = Checkpointed(block, **KINDS[kind])
    assert_equal_steps(block, torch.compile(call, backend="aot_eager", fullgraph=True))


def test_selective_computes_no_product_again():
    """Two layers: two products forward and four backward; without the policy two more."""
    products = {}
    for kind, options in KINDS.items():
        block = Block("tensorwise")
        with CallCounter() as counter:
            step(block, Checkpointed(block, **options))
        products[kind] = counter.counts["float8::scaled_mm"]
    assert products == {"reentrant": 8, "non-reentrant": 8, "selective": 6}


@pytest.mark.parametrize(("kind", "again"), [("non-reentrant", 2), ("selective", 0)])
def test_compiled_backward_graph(kind, again):
    block = Block("tensorwise")
    x = torch.randn(9, 80, requires_grad=True)
    _, backward = graphs_of(Checkpointed(block, **KINDS[kind]), x)
    # The last layer's product is not needed by its own backward pass.
    assert len(calls(backward, "float8.scaled_mm")) in (4 + again, 4 + again - 1)
