"""torch.func and forward-mode differentiation: right, or an error; never other numbers."""

import pytest
import torch
from checks import assert_same
from reference_linear import RECIPES, config_of
from torch import func
from torch.autograd import forward_ad

from float8 import Float8Linear


def make(name="tensorwise", **options):
    torch.manual_seed(0)
    return Float8Linear(80, 48, config=config_of(name), **options)


def batch(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("name", RECIPES)
def test_vmap_is_a_call_for_each_sample(name):
    layer = make(name)
    x = batch(3, 7, 80) * torch.logspace(-1, 1, 3)[:, None, None]  # each has an amax of its own
    together = func.vmap(layer)(x)
    together.square().sum().backward()
    gradient = layer.weight.grad
    layer.weight.grad = None
    one_by_one = torch.stack([layer(sample) for sample in x])
    assert_same(together, one_by_one)
    one_by_one.square().sum().backward()
    assert_same(gradient, layer.weight.grad)


def test_vmap_over_weights_and_other_dimensions():
    layer = make()
    x, weights, biases = batch(7, 80), batch(48, 3, 80), batch(3, 48)

    def call(weight, bias):
        return func.functional_call(layer, {"weight": weight, "bias": bias}, (x,))

    together = func.vmap(call, in_dims=(1, 0))(weights, biases)
    assert_same(together, torch.stack([call(weights[:, i], biases[i]) for i in range(3)]))


def test_vmap_in_vmap_and_without_gradients():
    layer = make("rowwise")
    x = batch(2, 3, 5, 80)
    with torch.no_grad():
        together = func.vmap(func.vmap(layer))(x)
        assert_same(together, torch.stack([torch.stack([layer(b) for b in a]) for a in x]))
    with torch.inference_mode():
        assert_same(func.vmap(func.vmap(layer))(x), together)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_batched_gradients_are_a_backward_pass_for_each():
    layer = make()
    x = batch(4, 80).requires_grad_()
    output = layer(x)
    gradients = batch(3, 4, 48)
    (together,) = torch.autograd.grad(
        output, x, gradients, is_grads_batched=True, retain_graph=True
    )
    one_by_one = [torch.autograd.grad(output, x, g, retain_graph=True)[0] for g in gradients]
    assert_same(together, torch.stack(one_by_one))


def loss(layer, parameters, x):
    return func.functional_call(layer, parameters, (x,)).square().sum()


REVERSE = {
    "grad": lambda layer, p, x: func.grad(loss, argnums=1)(layer, p, x),
    "grad of the input": lambda layer, p, x: func.grad(loss, argnums=2)(layer, p, x),
    "vjp": lambda layer, p, x: func.vjp(layer, x)[1](torch.ones(7, 48)),
    "jacrev": lambda layer, p, x: func.jacrev(layer)(x),
    "gradients of samples": lambda layer, p, x: func.vmap(
        func.grad(loss, argnums=1), in_dims=(None, None, 0)
    )(layer, p, x[:, None]),
    "hessian": lambda layer, p, x: func.hessian(lambda x: loss(layer, p, x))(x),
}


@pytest.mark.parametrize("name", REVERSE)
def test_functional_gradients_are_an_error(name):
    layer = make()
    with pytest.raises(RuntimeError, match=r"\[linear\] .*(call backward\(\)|forward derivative)"):
        REVERSE[name](layer, dict(layer.named_parameters()), batch(7, 80))


def dual(layer, x):
    with forward_ad.dual_level():
        return layer(forward_ad.make_dual(x, torch.ones_like(x)))


FORWARD = {
    "jvp": lambda layer, x: func.jvp(layer, (x,), (x,)),
    "jacfwd": lambda layer, x: func.jacfwd(layer)(x),
    "linearize": lambda layer, x: func.linearize(layer, x)[1](x),
    "forward_ad": dual,
}


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("name", FORWARD)
def test_forward_derivatives_are_an_error(name, frozen):
    layer = make().requires_grad_(not frozen)
    with pytest.raises(RuntimeError, match=r"\[linear\] FP8 casts have no forward derivative"):
        FORWARD[name](layer, batch(7, 80))


def test_forward_derivatives_of_the_weight_are_an_error():
    layer = make().requires_grad_(False)

    def call(weight):
        return func.functional_call(layer, {"weight": weight}, (batch(7, 80),))

    with pytest.raises(RuntimeError, match=r"\[linear\] FP8 casts have no forward derivative"):
        func.jvp(call, (layer.weight,), (layer.weight,))


def test_functionalize():
    layer = make().requires_grad_(False)
    x = batch(7, 80)
    assert_same(func.functionalize(layer)(x), layer(x))


@pytest.mark.parametrize("name", RECIPES)
def test_a_second_derivative_is_an_error(name):
    layer = make(name)
    x = batch(7, 80).requires_grad_()
    with pytest.raises(RuntimeError, match=r"\[linear\] FP8 casts have no second derivative"):
        torch.autograd.grad(layer(x).sum(), x, create_graph=True)
    compiled = torch.compile(layer, backend="aot_eager")
    (gradient,) = torch.autograd.grad(compiled(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="does not currently support double backward"):
        gradient.sum().backward()
