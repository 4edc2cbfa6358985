"""The weight that FSDP2 will gather as FP8, before and without sharding: an ordinary parameter."""

import copy
import dataclasses
import io
import logging
import pickle

import pytest
import torch
from checks import assert_same, ops
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import float8
from float8.fsdp import GatheredFloat8Weight, WeightWithDynamicFloat8CastTensor

PLAIN = float8.Float8LinearConfig(emulate=True)
CONFIG = dataclasses.replace(PLAIN, enable_fsdp_float8_all_gather=True)


def make_model(config=CONFIG, dtype=torch.float32):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 48), nn.GELU(), nn.Linear(48, 16)).to(dtype)
    return model if config is None else float8.convert_to_float8_training(model, config=config)


def inputs(dtype=torch.float32):
    return torch.randn(3, 10, 32, generator=torch.Generator().manual_seed(1)).to(dtype)


def train(model, optimizer, batches):
    losses = []
    for x in batches:
        loss = model(x).float().square().mean()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


OPTIMIZERS = {
    "fused": lambda p: torch.optim.AdamW(p, lr=1e-2, fused=True),
    "foreach": lambda p: torch.optim.AdamW(p, lr=1e-2, foreach=True),
    "loop": lambda p: torch.optim.AdamW(p, lr=1e-2, foreach=False),
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, weight_decay=0.1),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_trains_as_the_plain_parameter_does(optimizer, dtype):
    model, plain = make_model(dtype=dtype), make_model(PLAIN, dtype)
    make = OPTIMIZERS[optimizer]
    expected = train(plain, make(plain.parameters()), inputs(dtype))
    assert train(model, make(model.parameters()), inputs(dtype)) == expected
    for mine, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_parameters_stay_the_same_objects_with_what_they_carry():
    model = make_model(None)
    before = dict(model.named_parameters())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    weight = model[0].weight
    weight.grad = torch.ones(48, 32)
    weight.tag = "mine"
    address = weight.data_ptr()
    model[2].weight.requires_grad_(False)
    float8.convert_to_float8_training(model, config=CONFIG)
    assert dict(model.named_parameters()) == before
    assert isinstance(weight, nn.Parameter)
    assert isinstance(weight, WeightWithDynamicFloat8CastTensor)
    assert weight.data_ptr() == weight.untyped_storage().data_ptr() == address
    assert weight.tag == "mine"
    assert weight.is_leaf
    assert [p.requires_grad for p in model.parameters()] == [True, True, False, True]
    old = weight.detach().clone()
    optimizer.step()
    assert torch.equal(weight, old - 0.1)


def test_the_layers_own_ways_to_be_made():
    layer = float8.Float8Linear(32, 48, config=CONFIG)
    assert isinstance(layer.weight, WeightWithDynamicFloat8CastTensor)
    plain = nn.Linear(32, 48)
    weight = plain.weight
    layer = float8.Float8Linear.from_float(plain, config=CONFIG)
    assert layer.weight is weight
    assert isinstance(weight, WeightWithDynamicFloat8CastTensor)
    assert layer.gathers_float8


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda layer: layer.weight.register_hook(lambda g: g), "gradient hooks"),
        (lambda layer: layer.weight.register_post_accumulate_grad_hook(lambda p: None), "hooks"),
        (lambda layer: layer(torch.randn(2, 48, requires_grad=True)), "one in use"),
        (lambda layer: setattr(layer, "weight", Custom(layer.weight)), "type Custom"),
    ],
)
def test_a_weight_that_cannot_be_replaced_leaves_the_model_as_it_was(spoil, found):
    model = make_model(None)
    kept = spoil(model[2])
    parameters = [(p, type(p), p.data_ptr()) for p in model.parameters()]
    with pytest.raises(ValueError, match=rf"must be an ordinary parameter.*{found}"):
        float8.convert_to_float8_training(model, config=CONFIG)
    assert [(p, type(p), p.data_ptr()) for p in model.parameters()] == parameters
    assert [type(m) for m in model] == [nn.Linear, nn.GELU, nn.Linear]
    del kept
    model(inputs()[0]).sum().backward()


class Custom(nn.Parameter):
    pass


def test_state_dicts_are_plain_and_load_both_ways():
    model, plain = make_model(), make_model(None)
    state = model.state_dict()
    assert list(state) == list(plain.state_dict())
    assert all(type(tensor) is torch.Tensor for tensor in state.values())
    assert state["0.weight"].data_ptr() == model[0].weight.data_ptr()
    assert model.state_dict(keep_vars=True)["0.weight"] is model[0].weight
    file = io.BytesIO()
    torch.save(state, file)
    assert b"float8" not in file.getvalue()
    torch.manual_seed(5)
    plain[0].reset_parameters()
    plain.load_state_dict(state)
    assert torch.equal(plain[0].weight, model[0].weight)
    for assign in (False, True):
        other = make_model()
        nn.init.zeros_(other[0].weight)
        other.load_state_dict(copy.deepcopy(state), assign=assign)
        assert isinstance(other[0].weight, WeightWithDynamicFloat8CastTensor)
        assert isinstance(other[0].weight, nn.Parameter)
        assert torch.equal(other(inputs()[0]), model(inputs()[0]))


def test_swapping_loads_keep_the_parameter():
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        for assign in (False, True):
            model, state = make_model(), make_model(None).bfloat16().float().state_dict()
            weight = model[0].weight
            model.load_state_dict(state, assign=assign)
            assert model[0].weight is weight
            assert isinstance(weight, WeightWithDynamicFloat8CastTensor)
            assert torch.equal(weight, state["0.weight"])
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)


@pytest.mark.parametrize("duplicate", ["deepcopy", "pickle", "torch.save"])
def test_copies_of_a_model(duplicate):
    model = make_model()
    model[0].weight.requires_grad_(False)
    if duplicate == "deepcopy":
        other = copy.deepcopy(model)
    elif duplicate == "pickle":
        other = pickle.loads(pickle.dumps(model))
    else:
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        other = torch.load(file, weights_only=False)
    weight = other[0].weight
    assert isinstance(weight, WeightWithDynamicFloat8CastTensor)
    assert isinstance(weight, nn.Parameter)
    assert not weight.requires_grad
    assert other[2].weight.requires_grad
    assert weight.data_ptr() != model[0].weight.data_ptr()
    expected = model(inputs()[0])
    assert torch.equal(other(inputs()[0]), expected)
    nn.init.zeros_(weight)
    assert torch.equal(model(inputs()[0]), expected)
    shared = copy.deepcopy([model[0].weight, model[0].weight])
    assert shared[0] is shared[1]


def test_moves_and_dtypes():
    model = make_model()
    weight = model[0].weight
    model.to(torch.bfloat16)
    assert model[0].weight is weight
    assert weight.dtype == torch.bfloat16
    assert isinstance(weight, WeightWithDynamicFloat8CastTensor)
    assert_same(weight._tensor, make_model(None)[0].weight.detach().bfloat16())
    meta = make_model(None).to("meta")
    float8.convert_to_float8_training(meta, config=CONFIG)
    meta.to_empty(device="cpu").load_state_dict(make_model(None).state_dict())
    assert isinstance(meta[0].weight, WeightWithDynamicFloat8CastTensor)
    assert torch.equal(meta(inputs()[0]), make_model(PLAIN)(inputs()[0]))


def assign(weight):
    weight.data = torch.ones(48, 32)


def assign_what_was_computed(weight):
    weight.data = weight.data * 2


def assign_a_copy(weight):
    copied = weight.data.clone()
    weight.data = copied
    copied.mul_(2)  # they share memory


def assign_another_dtype(weight):
    weight.data = weight.data.to(torch.bfloat16)


def assign_in_place(weight):
    weight.data += 1


def assign_parts_of_a_vector(weight):
    vector = nn.utils.parameters_to_vector([weight])
    nn.utils.vector_to_parameters(vector + 1, [weight])


@pytest.mark.parametrize(
    "change",
    [
        assign,
        assign_what_was_computed,
        assign_a_copy,
        assign_another_dtype,
        assign_in_place,
        assign_parts_of_a_vector,
    ],
)
def test_assigned_data_are_the_values(change):
    model, plain = make_model(), make_model(PLAIN)
    for m in (model, plain):
        change(m[0].weight)
        m[0].bias = None
    weight, expected = model[0].weight, plain[0].weight
    assert isinstance(weight, WeightWithDynamicFloat8CastTensor)
    assert isinstance(weight, nn.Parameter)
    assert_same(weight.detach()._tensor, expected.detach())
    assert weight.dtype == expected.dtype
    x = inputs(expected.dtype)[0]
    assert_same(model[0](x), plain[0](x))
    model[0](x).sum().backward()
    plain[0](x).sum().backward()
    assert_same(weight.grad, expected.grad)


def test_a_dispatch_mode_sees_the_weight_come_back():
    weight = make_model()[0].weight
    returned = []

    class Mode(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            returned.append(func(*args, **(kwargs or {})))
            return returned[-1]

    with Mode(), torch.no_grad():
        weight.mul_(2)
    assert returned[-1] is weight


def test_a_weight_that_is_no_parameter_is_pickled_as_that():
    weight = WeightWithDynamicFloat8CastTensor(torch.randn(32, 48), CONFIG, torch.float32)
    again = pickle.loads(pickle.dumps(weight.requires_grad_()))
    assert type(again) is WeightWithDynamicFloat8CastTensor
    assert again.requires_grad
    assert_same(again._tensor, weight._tensor)


def test_flatten_loses_nothing():
    config = dataclasses.replace(CONFIG, round_scales_to_power_of_2=True)
    weight = make_model(config)[0].weight
    names, context = weight.__tensor_flatten__()
    inner = {name: getattr(weight, name) for name in names}
    again = type(weight).__tensor_unflatten__(inner, context, weight.size(), weight.stride())
    assert again._linear_mm_config is weight._linear_mm_config
    assert again._linear_mm_config.round_scales_to_power_of_2
    assert again._dtype == weight._dtype
    assert again._tensor is weight._tensor


@pytest.mark.parametrize("power_of_two", [False, True])
def test_compiled_without_sharding(power_of_two):
    config = dataclasses.replace(CONFIG, round_scales_to_power_of_2=power_of_two)
    model, eager = make_model(config), make_model(config)
    model.compile(backend="aot_eager", fullgraph=True)
    results = []
    for m in (model, eager):
        optimizer = torch.optim.SGD(m.parameters(), lr=0.1)
        results.append(train(m, optimizer, inputs()))
    assert results[0] == results[1]


def test_torchaos_clients_rebuild_it():
    """AutoModel makes it anew on the meta device from what it carries."""
    weight = make_model()[0].weight
    again = WeightWithDynamicFloat8CastTensor(
        torch.empty(48, 32, device="meta"),
        linear_mm_config=weight._linear_mm_config,
        dtype=weight._dtype,
        precomputed_scale=getattr(weight, "_precomputed_scale", None),
    )
    assert again.is_meta
    with pytest.raises(ValueError, match=r"precomputed_scale must be None.*precompute_float8"):
        WeightWithDynamicFloat8CastTensor(
            weight._tensor, weight._linear_mm_config, weight._dtype, torch.ones(())
        )


def test_inference_mode():
    model, plain = make_model(), make_model(PLAIN)
    with torch.inference_mode():
        assert torch.equal(model(inputs()[0]), plain(inputs()[0]))


def test_the_log_says_what_will_be_gathered(caplog):
    caplog.set_level(logging.INFO, logger="float8")
    make_model()
    assert "FSDP2 (fully_shard) will gather the weights of 2 layers as FP8" in caplog.text


@pytest.mark.parametrize("recipe", ["rowwise", "rowwise_with_gw_hp"])
def test_rowwise_is_an_error(recipe):
    config = dataclasses.replace(float8.Float8LinearConfig.from_recipe_name(recipe), emulate=True)
    with pytest.raises(float8.ConfigError, match="needs weights scaled tensorwise"):
        dataclasses.replace(config, enable_fsdp_float8_all_gather=True)


def test_what_was_gathered_has_one_cast():
    data, scale_inv = ops.quantize(torch.randn(32, 48), torch.float8_e4m3fn, (0, 0))
    weight = GatheredFloat8Weight(data, scale_inv, torch.bfloat16, power_of_two=False)
    assert (weight.dtype, weight.shape) == (torch.bfloat16, (32, 48))
    for wrong in (
        (torch.float8_e5m2, (0, 0), False),
        (torch.float8_e4m3fn, (1, 0), False),
        (torch.float8_e4m3fn, (0, 0), True),
    ):
        with pytest.raises(RuntimeError, match="gathered as FP8 has one cast"):
            ops.quantize(weight, *wrong)
    for read in (
        lambda: torch.mm(weight, weight.detach()),
        lambda: weight.view(-1),
        lambda: weight.as_strided((16, 16), (16, 1)),
    ):
        with pytest.raises(RuntimeError, match="can be read by its Float8Linear only"):
            read()
