"""Hooks made before the conversion are called after it, and their handles still remove them."""

import pytest
import torch
from checks import assert_same
from reference_linear import config_of
from torch import nn

from float8 import convert_to_float8_training

EMULATED = config_of("tensorwise")


def run(layer):
    layer(torch.randn(3, 32, requires_grad=True)).sum().backward()


def save(layer):
    layer.state_dict()


def load(layer):
    layer.load_state_dict(dict(layer.state_dict()))


HOOKS = {
    "register_forward_hook": run,
    "register_forward_pre_hook": run,
    "register_full_backward_hook": run,
    "register_full_backward_pre_hook": run,
    "register_state_dict_post_hook": save,
    "register_state_dict_pre_hook": save,
    "register_load_state_dict_pre_hook": load,
    "register_load_state_dict_post_hook": load,
}


@pytest.mark.parametrize("register", HOOKS)
def test_hook_survives_and_its_handle_removes_it(register):
    calls = []
    model = nn.Sequential(nn.Linear(32, 16))
    handle = getattr(model[0], register)(lambda *_: calls.append(register))
    convert_to_float8_training(model, config=EMULATED)
    HOOKS[register](model[0])
    assert calls == [register]
    handle.remove()
    HOOKS[register](model[0])
    assert calls == [register]


def test_hooks_see_the_converted_layer_and_change_its_values():
    model = nn.Sequential(nn.Linear(32, 16))
    seen = []
    model[0].register_forward_pre_hook(lambda _, args: (args[0] * 2,))
    model[0].register_forward_hook(lambda module, _, out: seen.append(module) or out + 1)
    convert_to_float8_training(model, config=EMULATED)
    x = torch.randn(3, 32)
    output = model(x)
    assert seen == [model[0]]
    assert_same(output, model[0].forward(2 * x) + 1)


def test_hooks_on_parameters_survive():
    model = nn.Sequential(nn.Linear(32, 16))
    calls = []
    model[0].weight.register_hook(lambda grad: calls.append("hook") or grad * 0)
    model[0].weight.register_post_accumulate_grad_hook(lambda _: calls.append("accumulated"))
    convert_to_float8_training(model, config=EMULATED)
    run(model[0])
    assert calls == ["hook", "accumulated"]
    assert not model[0].weight.grad.any()
