"""convert_to_float8_training: in place, all or nothing, with what the model had before."""

import copy
import dataclasses
import inspect
import pickle

import pytest
import torch
import torchao.float8
from checks import assert_same
from reference_linear import RECIPES, config_of
from torch import nn

import float8.float8_linear_utils
from float8 import (
    ConfigError,
    Float8Linear,
    Float8LinearConfig,
    Fp8Config,
    convert_to_float8_training,
    plan_conversion,
)

EMULATED = config_of("tensorwise")


def mlp():
    return nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 16, bias=False))


def types(model):
    return [type(m) for m in model.modules()]


def test_signature_is_torchaos():
    def arguments(function):
        parameters = inspect.signature(function).parameters.values()
        return [(p.name, p.kind, p.default) for p in parameters]

    assert arguments(convert_to_float8_training) == arguments(
        torchao.float8.convert_to_float8_training
    )
    assert float8.float8_linear_utils.convert_to_float8_training is convert_to_float8_training
    assert float8.config.Float8LinearConfig is Float8LinearConfig


@pytest.mark.parametrize("name", RECIPES)
def test_converts_in_place(name):
    model = mlp()
    layers, parameters = list(model), list(model.parameters())
    assert convert_to_float8_training(model, config=config_of(name)) is model
    assert [type(m) for m in model] == [Float8Linear, nn.ReLU, Float8Linear]
    assert all(a is b for a, b in zip(model, layers, strict=True))
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    assert model[0].config == config_of(name)
    by_hand = Float8Linear.from_float(mlp()[0], config_of(name))
    by_hand.load_state_dict(model[0].state_dict())
    x = torch.randn(3, 32)
    assert_same(model[0](x), by_hand(x))


def test_tensorwise_is_the_default():
    model = convert_to_float8_training(mlp())
    assert model[0].config == Float8LinearConfig()


def test_a_section_of_a_file_is_a_configuration():
    model = mlp()
    config = Fp8Config(enabled=True, recipe_name="rowwise", filter_fqns=["2"], emulate=True)
    convert_to_float8_training(model, config=config)
    assert [type(m) for m in model] == [Float8Linear, nn.ReLU, nn.Linear]
    assert model[0].config == config_of("rowwise")
    unchanged = mlp()
    disabled = dataclasses.replace(config, enabled=False)
    assert convert_to_float8_training(unchanged, config=disabled) is unchanged
    assert Float8Linear not in types(unchanged)


def test_root_linear():
    layer = nn.Linear(32, 48)
    assert convert_to_float8_training(layer, config=EMULATED) is layer
    assert type(layer) is Float8Linear
    plan = plan_conversion(nn.Linear(32, 48), config=EMULATED)
    assert plan.report.layers[0].fqn == ""


def test_state_dicts_go_both_ways():
    before, model = mlp(), convert_to_float8_training(mlp(), config=EMULATED)
    assert list(before.state_dict()) == list(model.state_dict())
    model.load_state_dict(before.state_dict(), strict=True)
    mlp().load_state_dict(model.state_dict(), strict=True)
    assert_same(model[0].weight, before[0].weight)


def test_tied_weights_stay_tied():
    model = nn.ModuleDict({"embedding": nn.Embedding(48, 32), "head": nn.Linear(32, 48, False)})
    model["head"].weight = model["embedding"].weight
    convert_to_float8_training(model, config=EMULATED)
    assert model["head"].weight is model["embedding"].weight
    model["head"](model["embedding"](torch.tensor([1, 5]))).sum().backward()
    assert model["embedding"].weight.grad is not None
    assert len(list(model.parameters())) == 1


def test_a_module_under_two_names_is_converted_once():
    shared = nn.Linear(32, 32)
    model = nn.ModuleDict({"a": shared, "b": nn.Sequential(shared, nn.Linear(32, 32))})
    plan = plan_conversion(model, config=EMULATED)
    assert [layer.fqn for layer in plan.report.layers] == ["a", "b.1"]
    plan.apply()
    assert model["a"] is model["b"][0]
    assert type(model["a"]) is Float8Linear


def test_frozen_weights_and_mode_stay():
    model = mlp().eval()
    model[0].requires_grad_(False)
    model[2].train()
    convert_to_float8_training(model, config=EMULATED)
    assert [m.training for m in model] == [False, False, True]
    assert [p.requires_grad for p in model.parameters()] == [False, False, True]


def test_copies_of_a_converted_model():
    model = convert_to_float8_training(mlp(), config=EMULATED)
    x = torch.randn(3, 32)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert types(other) == types(model)
        assert_same(other(x), model(x))


def test_on_meta_and_in_another_dtype():
    with torch.device("meta"):
        model = mlp()
    convert_to_float8_training(model, config=EMULATED)
    model.to_empty(device="cpu").to(torch.bfloat16)
    assert model(torch.zeros(3, 32).bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("name", RECIPES)
def test_an_optimizer_made_before_goes_on_working(name):
    torch.manual_seed(0)
    model = mlp()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    convert_to_float8_training(model, config=config_of(name))
    x, target = torch.randn(64, 32), torch.randn(64, 16)
    losses = []
    for _ in range(40):
        loss = (model(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_converting_twice_is_an_error_that_says_so():
    model = convert_to_float8_training(mlp(), config=EMULATED)
    with pytest.raises(ConfigError, match=r"got none of 2; .*\n  0: it is converted already"):
        convert_to_float8_training(model, config=config_of("rowwise"))
    assert model[0].config == EMULATED


def test_a_second_conversion_takes_the_rest():
    model = mlp()
    convert_to_float8_training(model, config=EMULATED, module_filter_fn=lambda _, name: name == "0")
    convert_to_float8_training(model, config=config_of("rowwise"))
    assert [model[0].config, model[2].config] == [EMULATED, config_of("rowwise")]


def test_sizes_that_are_padded():
    model = nn.Sequential(nn.Linear(17, 33), nn.Linear(33, 16))
    config = Float8LinearConfig(emulate=True, pad_inner_dim=True)
    plan = plan_conversion(model, config=config)
    assert plan.report.layers[0].reason == "converted, padded to K=32, N=48"
    x = torch.randn(5, 17, requires_grad=True)
    plan.apply()(x).sum().backward()
    assert x.grad.shape == (5, 17)
    assert model[0].weight.grad.shape == (33, 17)
