"""Float8Linear as a module: from_float, copies, files, dtypes and devices."""

import copy
import io
import pickle

import pytest
import torch
from checks import assert_same
from reference_linear import RECIPES, config_of
from torch import nn

import float8
from float8 import ConfigError, Float8Linear, Float8LinearConfig
from float8.float8_linear import Float8Linear as Float8LinearOfSubmodule

EMULATED = config_of("tensorwise")


def save_and_load(layer):
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda layer: pickle.loads(pickle.dumps(layer)),
    "torch.save": save_and_load,
}


def test_is_an_nn_linear_under_torchaos_name():
    layer = Float8Linear(32, 48, config=EMULATED)
    assert isinstance(layer, nn.Linear)
    assert float8.Float8Linear is Float8LinearOfSubmodule
    assert layer.config == EMULATED
    assert layer.scaling_type_input is float8.ScalingType.DYNAMIC
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    assert [name for name, _ in layer.named_buffers()] == []


def test_starts_like_nn_linear():
    torch.manual_seed(0)
    ours = Float8Linear(32, 48, config=EMULATED)
    torch.manual_seed(0)
    for name, tensor in nn.Linear(32, 48).state_dict().items():
        assert_same(ours.state_dict()[name], tensor)


def test_arguments_of_nn_linear():
    layer = Float8Linear(32, 48, False, "meta", torch.bfloat16)
    assert layer.bias is None
    assert layer.weight.is_meta
    assert layer.weight.dtype == torch.bfloat16
    assert layer.config == Float8LinearConfig()


@pytest.mark.parametrize("bias", [True, False])
def test_from_float_shares_the_parameters_and_leaves_the_layer(bias):
    plain = nn.Linear(32, 48, bias=bias)
    plain.note = "kept"
    layer = Float8Linear.from_float(plain, EMULATED)
    assert type(plain) is nn.Linear
    assert type(layer) is Float8Linear
    assert layer.weight is plain.weight
    assert layer.bias is plain.bias
    assert layer.note == "kept"
    assert layer(torch.randn(3, 32)).shape == (3, 48)
    layer.extra = nn.Parameter(torch.ones(1))
    assert not hasattr(plain, "extra")


def test_from_float_keeps_mode_frozen_weights_and_hooks():
    plain = nn.Linear(32, 48).eval()
    plain.weight.requires_grad_(False)
    calls = []
    plain.register_forward_hook(lambda *_: calls.append("hook"))
    layer = Float8Linear.from_float(plain, config=EMULATED)
    assert not layer.training
    assert not layer.weight.requires_grad
    layer(torch.randn(3, 32))
    assert calls == ["hook"]


def test_from_float_takes_linear_layers_only():
    with pytest.raises(TypeError, match=r"\[from_float\] mod must be an nn.Linear, got Conv1d"):
        Float8Linear.from_float(nn.Conv1d(16, 16, 1))


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("how", COPIES)
def test_copies_are_equal_and_apart(how, name):
    layer = Float8Linear(32, 48, config=config_of(name))
    other = COPIES[how](layer)
    assert type(other) is Float8Linear
    assert other.config == layer.config
    x = torch.randn(5, 32)
    before = layer(x)
    assert_same(other(x), before)
    other(x).sum().backward()
    assert layer.weight.grad is None
    with torch.no_grad():
        other.weight.zero_()
    assert_same(layer(x), before)


@pytest.mark.parametrize("bias", [True, False])
def test_state_dicts_go_both_ways(bias):
    plain, layer = nn.Linear(32, 48, bias=bias), Float8Linear(32, 48, bias=bias, config=EMULATED)
    assert list(plain.state_dict()) == list(layer.state_dict())
    layer.load_state_dict(plain.state_dict(), strict=True)
    assert_same(layer.weight, plain.weight)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    fresh = nn.Linear(32, 48, bias=bias)
    fresh.load_state_dict(torch.load(file, weights_only=True), strict=True)
    assert_same(fresh.weight, plain.weight)
    assigned = Float8Linear(32, 48, bias=bias, device="meta", config=EMULATED)
    assigned.load_state_dict(plain.state_dict(), strict=True, assign=True)
    x = torch.randn(2, 32)
    assert_same(assigned(x), layer(x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_to_another_dtype(dtype):
    layer = Float8Linear(32, 48, config=EMULATED).to(dtype)
    x = torch.randn(3, 32).to(dtype)
    assert layer(x).dtype == dtype
    reference = Float8Linear(32, 48, dtype=dtype, config=EMULATED)
    reference.load_state_dict(layer.state_dict())
    assert_same(layer(x), reference(x))


def test_meta_device_and_back():
    layer = Float8Linear(32, 48, config=EMULATED)
    state = copy.deepcopy(layer.state_dict())
    x = torch.randn(3, 32)
    before = layer(x)
    layer.to("meta")
    output = layer(torch.empty(2, 3, 32, device="meta", requires_grad=True))
    assert output.shape == (2, 3, 48)
    assert output.is_meta
    output.sum().backward()
    assert layer.weight.grad.shape == (48, 32)
    layer.to_empty(device="cpu").load_state_dict(state)
    assert_same(layer(x), before)


def test_with_torch_device_meta():
    with torch.device("meta"):
        assert Float8Linear(32, 48, config=EMULATED).weight.is_meta


def test_train_and_eval_give_the_same_output():
    layer = Float8Linear(32, 48, config=EMULATED)
    x = torch.randn(3, 32)
    assert_same(layer.train()(x), layer.eval()(x))


def test_printing_names_the_casts():
    text = repr(Float8Linear(32, 48, config=config_of("rowwise_with_gw_hp")))
    assert text == (
        "Float8Linear(in_features=32, out_features=48, bias=True, cast_configs="
        "i:dyn_axs_e4m3,w:dyn_axs_e4m3,go:dyn_axs_e4m3,"
        "i_gw:dis_ten_e4m3,w_gi:dyn_ten_e4m3,go_gw:dis_ten_e4m3, emulate=True)"
    )


def test_subclasses_that_call_super_work():
    class Doubled(Float8Linear):
        def forward(self, input):
            return 2 * super().forward(input)

    linear, x = nn.Linear(32, 48), torch.randn(3, 32)
    doubled = Doubled.from_float(linear, EMULATED)(x)
    assert_same(doubled, 2 * Float8Linear.from_float(linear, EMULATED)(x))


def test_invalid_configuration_is_an_error_when_it_is_made():
    with pytest.raises(ConfigError):
        Float8LinearConfig(cast_config_input=float8.CastConfig(float8.ScalingType.DISABLED))


def test_another_configuration_is_another_layer():
    """An assignment would change what is printed and not what is computed."""
    layer = Float8Linear(32, 48, config=EMULATED)
    with pytest.raises(AttributeError, match=r"config is fixed.*from_float\(layer, config\)"):
        layer.config = config_of("rowwise")
    assert layer.config == EMULATED
    other = Float8Linear.from_float(layer, config_of("rowwise"))
    assert (layer.config, other.config) == (EMULATED, config_of("rowwise"))
    x = torch.randn(5, 32)
    assert not torch.equal(other(x), layer(x))


def test_functional_call_and_gradients_of_other_weights():
    layer = Float8Linear(32, 48, bias=False, config=EMULATED)
    other = torch.randn(48, 32, requires_grad=True)
    x = torch.randn(3, 32)
    output = torch.func.functional_call(layer, {"weight": other}, (x,))
    output.sum().backward()
    assert other.grad is not None
    assert layer.weight.grad is None
