"""Float8LinearConfig and its parts: torchao's names, defaults, rules and recipes."""

import copy
import dataclasses
import itertools
import pickle

import pytest
import torch
import torchao.float8.config as torchao_config

import float8.config as config
from float8.config import (
    CastConfig,
    ConfigError,
    Float8GemmConfig,
    Float8LinearConfig,
    Float8LinearRecipeName,
    ScalingGranularity,
    ScalingType,
)

CLASSES = ("CastConfig", "Float8GemmConfig", "Float8LinearConfig")
ENUMS = ("ScalingType", "ScalingGranularity", "Float8LinearRecipeName")
RECIPES = tuple(name.value for name in Float8LinearRecipeName)
FAILED = "failed"

CASTS = [
    (scaling_type, granularity, dtype)
    for scaling_type, granularity, dtype in itertools.product(
        ("DYNAMIC", "DISABLED"),
        ("TENSORWISE", "AXISWISE"),
        (None, torch.float8_e4m3fn, torch.float8_e5m2),
    )
    if (scaling_type, granularity) != ("DISABLED", "AXISWISE")
]


def make_cast(module, cast):
    """The same CastConfig from torchao's classes or from ours; None stays None."""
    if cast is None:
        return None
    scaling_type, granularity, dtype = cast
    return module.CastConfig(
        module.ScalingType[scaling_type], module.ScalingGranularity[granularity], dtype
    )


def make_linear_config(module, **casts):
    return module.Float8LinearConfig(
        **{name: make_cast(module, cast) for name, cast in casts.items() if cast is not None}
    )


def plain(value):
    """A configuration as dict, list, str: equal for torchao's classes and ours."""
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return value.name if hasattr(value, "name") else value


@pytest.mark.parametrize("name", CLASSES)
def test_fields_have_torchaos_names_and_order(name):
    ours = [field.name for field in dataclasses.fields(getattr(config, name))]
    theirs = [field.name for field in dataclasses.fields(getattr(torchao_config, name))]
    assert ours == theirs


@pytest.mark.parametrize("name", CLASSES)
def test_defaults_are_torchaos(name):
    assert plain(getattr(config, name)()) == plain(getattr(torchao_config, name)())


@pytest.mark.parametrize("name", ENUMS)
def test_enums_are_torchaos(name):
    ours = {member.name: member.value for member in getattr(config, name)}
    assert ours == {member.name: member.value for member in getattr(torchao_config, name)}


def test_defaults_written_in_python_are_those_of_cpp():
    assert Float8LinearConfig() == Float8LinearConfig.from_recipe_name("tensorwise")


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_are_torchaos(recipe):
    theirs = plain(torchao_config.Float8LinearConfig.from_recipe_name(recipe))
    assert plain(Float8LinearConfig.from_recipe_name(recipe)) == theirs
    assert plain(Float8LinearConfig.from_recipe_name(Float8LinearRecipeName(recipe))) == theirs


def outcome(module, **casts):
    """The resolved casts, or FAILED."""
    try:
        resolved = plain(make_linear_config(module, **casts))
    except (AssertionError, ConfigError):
        return FAILED
    return {name: value for name, value in resolved.items() if name.startswith("cast_")}


def uses_e5m2_twice(casts):
    """Whether a product is E5M2 times E5M2: torchao accepts it and cuBLASLt fails on it."""
    products = (
        ("cast_config_input", "cast_config_weight"),
        ("cast_config_grad_output", "cast_config_weight_for_grad_input"),
        ("cast_config_input_for_grad_weight", "cast_config_grad_output_for_grad_weight"),
    )
    e5m2 = torch.float8_e5m2
    return any(
        all(casts[n]["target_dtype"] == e5m2 for n in names)
        and casts[names[0]]["scaling_type"] == "DYNAMIC"
        for names in products
    )


@pytest.mark.parametrize("tensor", ["input", "weight", "grad_output"])
def test_every_pair_of_casts_of_one_tensor_is_resolved_as_torchao_does(tensor):
    second_field = {
        "input": "cast_config_input_for_grad_weight",
        "weight": "cast_config_weight_for_grad_input",
        "grad_output": "cast_config_grad_output_for_grad_weight",
    }[tensor]
    accepted = 0
    for first, second in itertools.product(CASTS, [None, *CASTS]):
        casts = {f"cast_config_{tensor}": first, second_field: second}
        theirs = outcome(torchao_config, **casts)
        expected = FAILED if theirs != FAILED and uses_e5m2_twice(theirs) else theirs
        assert outcome(config, **casts) == expected, casts
        accepted += expected != FAILED
    assert accepted > 5


def test_every_cast_of_all_three_tensors_is_resolved_as_torchao_does():
    accepted = 0
    for casts in itertools.product(CASTS, repeat=3):
        names = ("cast_config_input", "cast_config_weight", "cast_config_grad_output")
        theirs = outcome(torchao_config, **dict(zip(names, casts, strict=True)))
        expected = FAILED if theirs != FAILED and uses_e5m2_twice(theirs) else theirs
        assert outcome(config, **dict(zip(names, casts, strict=True))) == expected, casts
        accepted += expected != FAILED
    assert accepted > 50


def test_a_cast_used_for_two_tensors_is_not_changed():
    """torchao writes the dtype into the caller's object, so that the second tensor gets it too."""
    cast = CastConfig()
    made = Float8LinearConfig(cast_config_input=cast, cast_config_grad_output=cast)
    assert cast.target_dtype is None
    assert made.cast_config_grad_output.target_dtype == torch.float8_e5m2


@pytest.mark.parametrize("cast", CASTS, ids=str)
def test_short_str_is_torchaos(cast):
    if cast[2] is None:  # torchao raises KeyError
        assert make_cast(config, cast).short_str().endswith("_auto")
    else:
        assert make_cast(config, cast).short_str() == make_cast(torchao_config, cast).short_str()
    assert ScalingType[cast[0]].short_str() == torchao_config.ScalingType[cast[0]].short_str()
    granularity = torchao_config.ScalingGranularity[cast[1]]
    assert ScalingGranularity[cast[1]].short_str() == granularity.short_str()


AXISWISE = CastConfig(scaling_granularity=ScalingGranularity.AXISWISE)
DISABLED = CastConfig(scaling_type=ScalingType.DISABLED)
E5M2 = CastConfig(target_dtype=torch.float8_e5m2)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"cast_config_input": DISABLED}, ["incompatible operand precision for output"]),
        ({"cast_config_weight_for_grad_input": DISABLED}, ["grad_input", "cast_config_grad_out"]),
        ({"cast_config_input_for_grad_weight": E5M2}, ["input must be cast to the same dtype"]),
        (
            {"cast_config_input": E5M2, "cast_config_weight": E5M2},
            ["output needs an operand in e4m3", "dyn_ten_e5m2"],
        ),
        (
            {"cast_config_weight": AXISWISE, "enable_fsdp_float8_all_gather": True},
            ["enable_fsdp_float8_all_gather", "dyn_axs_e4m3", "tensorwise"],
        ),
        (
            {"cast_config_weight_for_grad_input": AXISWISE, "enable_fsdp_float8_all_gather": True},
            ["enable_fsdp_float8_all_gather", "dyn_axs_e4m3"],
        ),
        ({"emulate": 1}, ["emulate must be True or False", "1 (an int)"]),
        ({"cast_config_weight": "tensorwise"}, ["cast_config_weight must be a CastConfig", "str"]),
        ({"cast_config_weight": None}, ["cast_config_weight must be a CastConfig"]),
        ({"gemm_config_output": True}, ["gemm_config_output must be a Float8GemmConfig"]),
        (
            {"gemm_config_output": Float8GemmConfig(use_fast_accum=1)},
            ["gemm_config_output.use_fast_accum must be True or False"],
        ),
    ],
)
def test_what_cannot_work_is_a_config_error(fields, words):
    with pytest.raises(ConfigError) as error:
        Float8LinearConfig(**fields)
    assert str(error.value).startswith("[Float8LinearConfig]")
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((ScalingType.DISABLED, ScalingGranularity.AXISWISE), ["axiswise", "disabled"]),
        (("dynamic",), ["scaling_type must be a ScalingType", "dynamic (a str)"]),
        ((ScalingGranularity.AXISWISE,), ["scaling_type must be a ScalingType"]),
        ((ScalingType.DYNAMIC, None), ["scaling_granularity must be a ScalingGranularity"]),
        (
            (ScalingType.DYNAMIC, ScalingGranularity.TENSORWISE, torch.bfloat16),
            ["target_dtype must be torch.float8_e4m3fn", "torch.bfloat16"],
        ),
        (
            (ScalingType.DYNAMIC, ScalingGranularity.TENSORWISE, torch.float8_e4m3fnuz),
            ["target_dtype", "torch.float8_e4m3fnuz"],
        ),
    ],
)
def test_a_cast_that_cannot_work_is_a_config_error(arguments, words):
    with pytest.raises(ConfigError) as error:
        CastConfig(*arguments)
    for word in words:
        assert word in str(error.value)


def test_unknown_recipe_lists_the_valid_ones_and_the_nearest():
    with pytest.raises(ConfigError) as error:
        Float8LinearConfig.from_recipe_name("row_wise")
    for name in RECIPES:
        assert name in str(error.value)
    assert "did you mean `rowwise`?" in str(error.value)


def test_torchaos_own_values_are_accepted():
    cast = CastConfig(torchao_config.ScalingType.DYNAMIC)
    made = Float8LinearConfig(cast_config_input=cast)
    assert made.cast_config_input.scaling_type is ScalingType.DYNAMIC
    recipe = torchao_config.Float8LinearRecipeName.ROWWISE
    assert Float8LinearConfig.from_recipe_name(recipe).round_scales_to_power_of_2


@pytest.mark.parametrize("recipe", RECIPES)
def test_configurations_are_frozen_plain_values(recipe):
    made = Float8LinearConfig.from_recipe_name(recipe)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.emulate = True
    assert copy.deepcopy(made) == made == pickle.loads(pickle.dumps(made))
    assert hash(made) == hash(copy.deepcopy(made))
    emulated = dataclasses.replace(made, emulate=True)
    assert emulated != made
    assert dataclasses.replace(emulated, emulate=False) == made


TENSORWISE_BLOCKS = [0, 0, 0, 0]
ROWWISE_BLOCKS = [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("recipe", "grad_dtype", "blocks", "power_of_two"),
    [
        ("tensorwise", torch.float8_e5m2, [TENSORWISE_BLOCKS] * 3, False),
        ("rowwise", torch.float8_e4m3fn, [ROWWISE_BLOCKS] * 3, True),
        ("rowwise_with_gw_hp", torch.float8_e4m3fn, [ROWWISE_BLOCKS, [1, 0, 0, 0], []], True),
    ],
)
def test_operator_arguments(recipe, grad_dtype, blocks, power_of_two):
    made = dataclasses.replace(
        Float8LinearConfig.from_recipe_name(recipe),
        emulate=True,
        force_recompute_fp8_weight_in_bwd=True,
        gemm_config_grad_weight=Float8GemmConfig(use_fast_accum=True),
    )
    e4m3 = torch.float8_e4m3fn
    accumulation = (True, False, True)
    flags = (power_of_two, True, True)
    expected = (e4m3, e4m3, grad_dtype, *blocks, *accumulation, *flags)
    assert made._operator_arguments() == expected


def test_torch_compile_sees_through_a_configuration():
    made = Float8LinearConfig.from_recipe_name("rowwise")

    @torch.compile(backend="eager", fullgraph=True)
    def double_if_rounded(x):
        if made.cast_config_input.scaling_type is ScalingType.DYNAMIC and not made.emulate:
            return x * 2 if made.round_scales_to_power_of_2 else x
        return x

    assert double_if_rounded(torch.ones(2)).tolist() == [2, 2]
