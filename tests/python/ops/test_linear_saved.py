"""What the forward pass keeps for the backward pass: FP8 copies, and nothing that nobody needs."""

import pytest
import torch
from reference_linear import RECIPES, config_of

from float8 import Float8Linear

M, N, K = 40, 48, 80
M_PADDED = 48
INPUT_COPY = K * M_PADDED  # FP8, transposed
WEIGHT_COPY = K * N


def kept(layer, x):
    """The shapes by dtype of what is kept beside the parameters, and its bytes."""
    tensors = []
    known = {p.untyped_storage().data_ptr() for p in layer.parameters()}

    def pack(tensor):
        if tensor.untyped_storage().data_ptr() not in known:
            tensors.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = layer(x)
    output.sum().backward()
    return tensors, sum(t.nbytes for t in tensors)


def make(name, dtype=torch.bfloat16, **changes):
    return Float8Linear(K, N, dtype=dtype, config=config_of(name, **changes))


def leaf(requires_grad=True):
    return torch.randn(M, K, dtype=torch.bfloat16, requires_grad=requires_grad)


# Bytes: FP8 copies of both operands and their scales, [1, 1] or one for each row of the copy.
SAVED = {
    "tensorwise": INPUT_COPY + 4 + WEIGHT_COPY + 4,
    "rowwise": INPUT_COPY + 4 * K + WEIGHT_COPY + 4 * K,
    "rowwise_with_gw_hp": 2 * M * K + WEIGHT_COPY + 4,  # the input itself, for dW
}
SAVED_RECOMPUTING = {
    "tensorwise": INPUT_COPY + 4,
    "rowwise": INPUT_COPY + 4 * K,
    "rowwise_with_gw_hp": 2 * M * K,
}


@pytest.mark.parametrize("name", RECIPES)
def test_fp8_copies_are_kept_instead_of_the_input(name):
    tensors, size = kept(make(name), leaf())
    assert size == SAVED[name]
    high_precision = [t for t in tensors if t.dtype == torch.bfloat16]
    assert len(high_precision) == (name == "rowwise_with_gw_hp")


@pytest.mark.parametrize("name", RECIPES)
def test_recomputing_keeps_no_weight_copy(name):
    _, size = kept(make(name, force_recompute_fp8_weight_in_bwd=True), leaf())
    assert size == SAVED_RECOMPUTING[name]


@pytest.mark.parametrize("name", RECIPES)
def test_frozen_weight_keeps_no_input(name):
    layer = make(name)
    layer.weight.requires_grad_(False)
    x = leaf()
    _, size = kept(layer, x)
    assert size == SAVED[name] - SAVED_RECOMPUTING[name]
    assert layer.weight.grad is None
    assert x.grad is not None
    assert layer.bias.grad is not None


@pytest.mark.parametrize("name", RECIPES)
def test_input_without_gradient_keeps_no_weight(name):
    layer = make(name)
    x = leaf(requires_grad=False)
    _, size = kept(layer, x)
    assert size == SAVED_RECOMPUTING[name]
    assert x.grad is None
    assert layer.weight.grad is not None


@pytest.mark.parametrize("name", RECIPES)
def test_only_the_bias_keeps_nothing(name):
    layer = make(name)
    layer.weight.requires_grad_(False)
    _, size = kept(layer, leaf(requires_grad=False))
    assert size == 0
    torch.testing.assert_close(layer.bias.grad, torch.full((N,), float(M), dtype=torch.bfloat16))


@pytest.mark.parametrize("name", RECIPES)
def test_everything_frozen_records_no_gradient(name):
    layer = make(name).requires_grad_(False)
    assert not layer(leaf(requires_grad=False)).requires_grad


@pytest.mark.parametrize("frozen", ["weight", "bias", "input"])
@pytest.mark.parametrize("name", RECIPES)
def test_the_other_gradients_do_not_change(name, frozen):
    def gradients(frozen):
        torch.manual_seed(0)
        layer = make(name)
        tensors = {"input": leaf(), **dict(layer.named_parameters())}
        if frozen:
            tensors.pop(frozen).requires_grad_(False)
        x = tensors.get("input")
        torch.manual_seed(1)
        data = leaf(requires_grad=False)
        x = data.requires_grad_("input" in tensors)
        layer(x).square().sum().backward()
        tensors = {n: x if n == "input" else t for n, t in tensors.items()}
        return {n: t.grad for n, t in tensors.items()}

    every = gradients(None)
    some = gradients(frozen)
    assert set(some) == set(every) - {frozen}
    for name, gradient in some.items():
        assert torch.equal(gradient, every[name])


def test_changing_a_kept_weight_in_place_is_noticed_when_recomputing():
    layer = make("tensorwise", force_recompute_fp8_weight_in_bwd=True)
    output = layer(leaf())
    with torch.no_grad():
        layer.weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()
