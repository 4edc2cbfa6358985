"""The YAML reader: what it reads, what it refuses, and what it says."""

import dataclasses
import math
from pathlib import Path

import pytest
from config_files import DOCUMENT, GUIDE, ConfigFile

from float8 import _C
from float8.config import (
    CompileConfig,
    Config,
    ConfigError,
    Float8LinearConfig,
    Fp8Config,
    dump,
    load_config,
)

GUIDE_CONFIG = Config(
    Fp8Config(
        enabled=True,
        recipe_name="tensorwise",
        enable_fsdp_float8_all_gather=True,
        precompute_float8_dynamic_scale_for_fsdp=True,
        force_recompute_fp8_weight_in_bwd=True,
        filter_fqns=["lm_head"],
    ),
    CompileConfig(enabled=True),
)


@pytest.fixture
def load(tmp_path):
    """Loads text or bytes as the file a.yaml, with overrides."""
    return ConfigFile(tmp_path / "a.yaml").load


def test_the_guides_file_is_read(load):
    assert load(GUIDE) == GUIDE_CONFIG


@pytest.mark.parametrize("text", ["fp8: {}", "model:\n  name: x\n", "{}", "fp8: {}\ncompile: {}"])
def test_missing_keys_have_defaults(load, text):
    assert load(text) == Config()


@pytest.mark.parametrize("overrides", [[], (), None, iter([])])
def test_overrides_may_be_any_iterable(tmp_path, overrides):
    path = tmp_path / "a.yaml"
    path.write_text(GUIDE)
    assert load_config(str(path), overrides) == GUIDE_CONFIG


def test_both_spellings(load):
    text = (
        "fp8:\n  enable_fsdp_fp8_all_gather: true\n  precompute_fp8_dynamic_scale_for_fsdp: true\n"
    )
    fp8 = load(text).fp8
    assert fp8.enable_fsdp_float8_all_gather
    assert fp8.precompute_float8_dynamic_scale_for_fsdp
    assert load(text + "  enable_fsdp_float8_all_gather: true\n").fp8 == fp8
    with pytest.raises(
        ConfigError, match=r"a\.yaml:4: fp8\.enable_fsdp_float8_all_gather: .*other"
    ):
        load(text + "  enable_fsdp_float8_all_gather: false\n")


@pytest.mark.parametrize(
    "spelling", ["enable_fsdp_fp8_all_gather", "enable_fsdp_float8_all_gather"]
)
@pytest.mark.parametrize("other", ["enable_fsdp_fp8_all_gather", "enable_fsdp_float8_all_gather"])
def test_an_override_replaces_either_spelling(load, spelling, other):
    fp8 = load(f"fp8:\n  {spelling}: true\n", (f"fp8.{other}", "false")).fp8
    assert not fp8.enable_fsdp_float8_all_gather


@pytest.mark.parametrize("recipe", ["rowwise", "rowwise_with_gw_hp"])
def test_a_recipe_without_all_gather_prints_the_whole_override(load, recipe):
    with pytest.raises(ConfigError) as error:
        load(GUIDE, ("fp8.recipe_name", recipe))
    words = str(error.value)
    assert words.startswith("[config] command line: fp8.recipe_name: expected tensorwise")
    options = (
        f"--fp8.recipe_name {recipe} --fp8.enable_fsdp_float8_all_gather false "
        "--fp8.precompute_float8_dynamic_scale_for_fsdp false"
    )
    assert words.endswith(options)
    pairs = [option.split(" ") for option in options.removeprefix("--").split(" --")]
    fp8 = load(GUIDE, *map(tuple, pairs)).fp8
    assert (fp8.recipe_name, fp8.enable_fsdp_float8_all_gather) == (recipe, False)


def test_precomputed_scales_need_the_all_gather(load):
    with pytest.raises(
        ConfigError, match=r"a\.yaml:3: fp8\.precompute_fp8_dyn.*all_gather is false"
    ):
        load("fp8:\n  enabled: true\n  precompute_fp8_dynamic_scale_for_fsdp: true\n")


def test_overrides_take_any_yaml_value_and_make_sections(load):
    config = load(
        "model: {}\n",
        ("fp8.filter_fqns", "[lm_head, 'layers.[01].*']"),
        ("fp8.enabled", "true"),
        ("compile", "{mode: max-autotune}"),
        ("compile.backend", "eager"),
        ("fp8.enabled", "false"),
    )
    assert config == Config(
        Fp8Config(filter_fqns=["lm_head", "layers.[01].*"]),
        CompileConfig(mode="max-autotune", backend="eager"),
    )


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        GUIDE_CONFIG,
        Config(
            Fp8Config(
                recipe_name="rowwise", filter_fqns=["a: b", "'", '"', "*", "1", "é\n", "null"]
            ),
            CompileConfig(backend="1", mode="max-autotune-no-cudagraphs", dynamic=True),
        ),
    ],
)
def test_what_dump_writes_is_read_as_an_equal_value(load, config):
    assert load(dump(config)) == config


ALL_KEYS = [field.name for field in dataclasses.fields(Fp8Config)]


@pytest.mark.parametrize("key", ALL_KEYS)
def test_a_misspelt_key_names_the_right_one(load, key):
    with pytest.raises(ConfigError, match=f"fp8.{key}s: .*did you mean `{key}`"):
        load(f"fp8:\n  {key}s: true")


def test_values_made_in_python_are_checked_as_a_file_is():
    with pytest.raises(ConfigError, match=r"Fp8Config: fp8.recipe_name: .*did you mean `rowwise`"):
        Fp8Config(recipe_name="rowwis")
    with pytest.raises(
        ConfigError, match=r"fp8.enabled: expected true or false, found the integer 1"
    ):
        Fp8Config(enabled=1)
    with pytest.raises(ConfigError, match=r"fp8.filter_fqns: expected a value .*, found a set"):
        Fp8Config(filter_fqns={"a"})
    with pytest.raises(ConfigError, match=r"fp8.enabled: .*64 bits"):
        Fp8Config(enabled=1 << 80)
    with pytest.raises(ConfigError, match=r"CompileConfig: compile.mode"):
        CompileConfig(mode="fast")
    assert Fp8Config(filter_fqns=("a", "b")).filter_fqns == ["a", "b"]


def test_linear_config_has_every_setting():
    fp8 = Fp8Config(recipe_name="rowwise", emulate=True, force_recompute_fp8_weight_in_bwd=True)
    expected = dataclasses.replace(
        Float8LinearConfig.from_recipe_name("rowwise"),
        emulate=True,
        force_recompute_fp8_weight_in_bwd=True,
    )
    assert fp8.linear_config() == expected
    assert Fp8Config().linear_config() == Float8LinearConfig()
    assert GUIDE_CONFIG.fp8.linear_config().enable_fsdp_float8_all_gather


def test_load_document_follows_the_core_schema(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(DOCUMENT)
    tree, lines = _C.load_document(path, [("optimizer.betas.1", "0.5"), ("model.size", "3")])
    optimizer = tree["optimizer"]
    assert math.isnan(optimizer.pop("nan"))
    assert optimizer == {
        "lr": 1e-5,
        "betas": [0.9, 0.5],
        "eps": 1e-8,
        "zero": 0,
        "hex": 31,
        "octal": 15,
        "infinite": -math.inf,
        "quoted": "1e-5",
        "yes": "yes",
        "date": "2024-01-01",
        "version": "1.2.3",
        "nothing": None,
        "tagged": "12",
        "7": "seven",
        "flow": {"a": [1, {"b": True}], "c": [1, {"b": True}]},
        "text": "two\nlines\n",
    }
    assert type(optimizer["lr"]) is float
    assert type(optimizer["zero"]) is int
    assert tree["model"] == {"size": 3}
    assert lines["optimizer"] == 1
    assert lines["optimizer.lr"] == 2
    assert lines["optimizer.betas.0"] == 3
    assert lines["optimizer.betas.1"] == 0
    assert lines["optimizer.flow.a.1.b"] == 17
    assert lines["model.size"] == 0


def test_config_error_message():
    message = _C.config_error_message("a.yaml", 3, "a.b", "text", "the string `stepz`", ["steps"])
    assert message == (
        "[config] a.yaml:3: a.b: expected text, found the string `stepz`; did you mean `steps`?"
    )
    message = _C.config_error_message("a.yaml", 0, "a.b", "a key", "`x`", ["one", "two"])
    assert message == "[config] command line: a.b: expected a key, found `x`; valid: one, two"


def test_the_readers_limits_leave_room_for_a_large_file(tmp_path):
    path = Path(tmp_path / "a.yaml")
    path.write_text("fp8: {}\nlayers:\n" + "".join(f"  layer_{i}: {i}\n" for i in range(20_000)))
    tree, _ = _C.load_document(path)
    assert tree["layers"]["layer_19999"] == 19_999
