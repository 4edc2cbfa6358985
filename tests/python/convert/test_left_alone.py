"""Layers that are more than an nn.Linear stay as they are, with the reason in the report."""

import types

import pytest
import torch
from checks import assert_same
from reference_linear import config_of
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from float8 import Float8Linear, convert_to_float8_training, plan_conversion

EMULATED = config_of("tensorwise")


class LoraLinear(nn.Linear):
    """A low-rank addition to a frozen layer, as adapters do it."""

    def __init__(self, *args):
        super().__init__(*args)
        self.down = nn.Parameter(torch.randn(4, self.in_features))
        self.up = nn.Parameter(torch.randn(self.out_features, 4))

    def forward(self, input):
        return super().forward(input) + input @ self.down.t() @ self.up.t()


class RenamedLinear(nn.Linear):
    """A subclass that changes nothing in the forward pass."""


class Negated(nn.Module):
    def forward(self, weight):
        return -weight


def parametrized():
    layer = nn.Linear(32, 32)
    parametrize.register_parametrization(layer, "weight", Negated())
    return layer


def replaced():
    layer = nn.Linear(32, 32)
    layer.forward = types.MethodType(
        lambda self, x: nn.functional.linear(x, self.weight) * 3, layer
    )
    return layer


LEFT_ALONE = {
    "LoraLinear has a forward of its own": lambda: LoraLinear(32, 32),
    "RenamedLinear is a subclass of nn.Linear": lambda: RenamedLinear(32, 32),
    "its forward was replaced on the module": replaced,
    "it is parametrized (weight)": parametrized,
}


@pytest.mark.parametrize("reason", LEFT_ALONE)
def test_left_alone_with_the_reason(reason):
    layer = LEFT_ALONE[reason]()
    model = nn.ModuleDict({"special": layer, "plain": nn.Linear(32, 32)})
    x = torch.randn(3, 32)
    kind, before = type(layer), layer(x)
    plan = plan_conversion(model, config=EMULATED)
    decisions = {d.fqn: d for d in plan.report.layers}
    assert not decisions["special"].converted
    assert decisions["special"].reason == reason
    assert reason in str(plan.report)
    plan.apply()
    assert type(model["special"]) is kind
    assert type(model["plain"]) is Float8Linear
    assert_same(model["special"](x), before)


def test_weight_norm_by_parametrization():
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(32, 32)), nn.Linear(32, 32))
    convert_to_float8_training(model, config=EMULATED)
    assert isinstance(model[1], Float8Linear)
    assert not isinstance(model[0], Float8Linear)
    assert model(torch.randn(3, 32)).shape == (3, 32)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_weight_norm_by_hook_goes_on_working():
    """The old weight_norm is a hook that sets the weight before each call."""
    torch.manual_seed(0)
    model = nn.Sequential(torch.nn.utils.weight_norm(nn.Linear(32, 32)))
    plain = nn.Linear(32, 32)
    convert_to_float8_training(model, config=EMULATED)
    with torch.no_grad():
        model[0].weight_g.mul_(2)
    x = torch.randn(3, 32)
    model(x).sum().backward()
    assert model[0].weight_g.grad is not None
    plain.weight, plain.bias = nn.Parameter(model[0].weight.detach()), model[0].bias
    assert_same(model(x), Float8Linear.from_float(plain, EMULATED)(x))


def test_attention_reads_its_projection_without_calling_it():
    model = nn.ModuleList([nn.MultiheadAttention(32, 2, batch_first=True), nn.Linear(32, 32)])
    x = torch.randn(1, 5, 32)
    before = model[0](x, x, x)[0]
    plan = plan_conversion(model, config=EMULATED)
    decision = next(d for d in plan.report.layers if d.fqn == "0.out_proj")
    assert decision.reason == "nn.MultiheadAttention reads its weight without calling it"
    plan.apply()
    assert_same(model[0](x, x, x)[0], before)


def test_lazy_layers_are_left_alone():
    model = nn.ModuleList([nn.LazyLinear(32), nn.Linear(32, 32)])
    report = plan_conversion(model, config=EMULATED).report
    assert report.layers[0].reason == "LazyLinear is a subclass of nn.Linear"


def test_a_subclass_of_float8_linear_is_converted_already():
    class Own(Float8Linear):
        pass

    model = nn.ModuleList([Own(32, 32, config=EMULATED), nn.Linear(32, 32)])
    report = plan_conversion(model, config=EMULATED).report
    assert report.layers[0].reason == "it is converted already"
