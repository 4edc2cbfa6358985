"""Layers that are called one after another with the same input share its FP8 copies."""

import pytest
import torch
from checks import assert_same
from op_counts import counted_ops, quantizations
from reference_linear import RECIPES, config_of
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

import float8


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(32, n) for n in (48, 16, 16))
        self.o = nn.Linear(48, 32)

    def forward(self, x):
        q, k, v = self.q(x), self.k(x), self.v(x)
        return self.o(q * torch.cat((k, v, k), -1))


def make_model(recipe):
    torch.manual_seed(0)
    return float8.convert_to_float8_training(Attention(), config=config_of(recipe))


def gradients(model, x, call=None):
    for parameter in model.parameters():
        parameter.grad = None
    output = (call or model)(x)
    output.square().sum().backward()
    return [output, *(parameter.grad for parameter in model.parameters())]


@pytest.mark.parametrize("recipe", RECIPES)
def test_quantized_once_with_the_bits_of_three_times(recipe):
    model = make_model(recipe)
    x = torch.randn(10, 32, requires_grad=True)
    with counted_ops() as counts:
        got = gradients(model, x)
    assert quantizations(counts) == 2 + 4 + 4  # inputs, weights, gradients
    for layer in (model.q, model.k, model.v):  # each has an input of its own
        layer.register_forward_pre_hook(lambda _, inputs: (inputs[0].clone(),))
    with counted_ops() as counts:
        want = gradients(model, x)
    assert quantizations(counts) == 4 + 4 + 4
    for a, b in zip(got, want, strict=True):
        assert_same(a, b)


def test_the_backward_pass_saves_one_copy_for_all():
    def saved_bytes(model, x):
        storages = {}

        def pack(tensor):
            storage = tensor.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            kept = [layer(x) for layer in (model.q, model.k, model.v)]
        assert len(kept) == 3
        return sum(storages.values())

    model = make_model("tensorwise").requires_grad_(False)
    for layer in (model.q, model.k, model.v):
        layer.weight.requires_grad_(True)
    x = torch.randn(64, 32)
    scale = 4
    assert saved_bytes(model, x) == 64 * 32 + scale


REFILLS = {
    "data": lambda x: x.data.mul_(3),
    "numpy": lambda x: x.numpy().__imul__(3),
    "a flat buffer": lambda x: x._base.data.mul_(3),
}


@pytest.mark.parametrize("refill", REFILLS)
def test_a_buffer_that_is_refilled_between_models_is_quantized_again(refill):
    """torch's version counter does not see it; without a backward pass it is nothing unusual."""
    first, second = make_model("tensorwise"), make_model("tensorwise")
    x = torch.randn(11 * 32)[32:].view(10, 32)
    version = x._version
    with torch.no_grad():
        first.q(x)
        REFILLS[refill](x)
        got = second.k(x)
        want = second.k(x.clone())
    assert x._version == version
    assert_same(got, want)


@pytest.mark.parametrize("reentrant", [True, False])
def test_under_checkpointing(reentrant):
    model = make_model("tensorwise")
    x = torch.randn(10, 32, requires_grad=True)
    want = gradients(model, x)
    got = gradients(model, x, lambda x: checkpoint(model, x, use_reentrant=reentrant))
    for a, b in zip(got, want, strict=True):
        assert_same(a, b)


def test_a_trace_holds_no_copy_as_a_constant():
    """A traced graph computes from its input, though the input's copies were there already."""
    model = make_model("tensorwise").requires_grad_(False)
    x = torch.randn(10, 32)
    model.q(x)
    traced = torch.jit.trace(model.k, (x,), check_trace=False)
    other = torch.randn(10, 32)
    assert_same(traced(other), model.k(other))


class Names(TorchDispatchMode):
    """Writes down the operators that it sees."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.name())
        return func(*args, **(kwargs or {}))


def test_a_dispatch_mode_sees_every_quantization():
    model = make_model("tensorwise")
    x = torch.randn(10, 32)
    model.q(x)
    with Names() as mode:
        model.k(x)
    assert mode.names.count("float8::quantize_pair") == 1  # x's, though it has copies
    assert mode.names.count("float8::quantize") == 1
