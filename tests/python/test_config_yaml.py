"""The YAML reader: what it reads, what it refuses, and what it says."""

import dataclasses
import math
import random
import re
from pathlib import Path

import pytest

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

GUIDE = """\
compile:
  enabled: true
  mode: "default"        # default | reduce-overhead | max-autotune | max-autotune-no-cudagraphs
  fullgraph: false
  dynamic: false
  backend: null          # null = inductor
fp8:
  enabled: true
  recipe_name: tensorwise
  enable_fsdp_float8_all_gather: true
  precompute_float8_dynamic_scale_for_fsdp: true
  force_recompute_fp8_weight_in_bwd: true
  filter_fqns: ["lm_head"]
  emulate: false
"""

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
    """Loads text or bytes as a file; the file's name is in the tests' error messages."""

    def load_text(text, *overrides):
        path = tmp_path / "a.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_config(path, overrides)

    return load_text


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

BAD_SETTINGS = {
    "fp8:\n  enabled: 1": ["a.yaml:2: fp8.enabled: expected true or false, found the integer 1"],
    "fp8:\n  enabled: 0.5": ["a.yaml:2: fp8.enabled:", "the number 0.5"],
    "fp8:\n  enabled: yes": ["a.yaml:2: fp8.enabled:", "the string `yes`", "write true"],
    "fp8:\n  enabled: Off": ["a.yaml:2: fp8.enabled:", "the string `Off`", "write false"],
    "fp8:\n  enabled: 'true'": ["a.yaml:2: fp8.enabled:", "write true, without quotes"],
    "fp8:\n  enabled:": ["a.yaml:2: fp8.enabled: expected true or false, found null"],
    "fp8:\n  enabled: [true]": ["a.yaml:2: fp8.enabled:", "found a list"],
    "fp8:\n  enabled: {a: 1}": ["a.yaml:2: fp8.enabled:", "found a map"],
    "fp8:\n  enabled:\n    true\n  emulate: 2": ["a.yaml:4: fp8.emulate"],
    "fp8:\n\n  enabld: true": ["a.yaml:3: fp8.enabld:", "did you mean `enabled`?"],
    "fp8:\n  recipe: x": ["a.yaml:2: fp8.recipe:", "found `recipe`", "valid: enabled, recipe_name"],
    "fp8:\n  enable_fsdp_float8_allgather: true": ["did you mean `enable_fsdp_float8_all_gather`?"],
    "fp8:\n  Recipe-Name: x": ["did you mean `recipe_name`?"],
    "fp8:\n  recipe_name: rowise": [
        "a.yaml:2: fp8.recipe_name: expected one of tensorwise, rowwise, rowwise_with_gw_hp or",
        "null, found the string `rowise`",
        "did you mean `rowwise`?",
    ],
    "fp8:\n  recipe_name: 3": ["a.yaml:2: fp8.recipe_name:", "tensorwise", "the integer 3"],
    "fp8:\n  filter_fqns: lm_head": ["a.yaml:2: fp8.filter_fqns:", 'write ["lm_head"]'],
    "fp8:\n  filter_fqns: null": ["a.yaml:2: fp8.filter_fqns: expected a list", "found null"],
    "fp8:\n  filter_fqns: [a,\n    1]": ["a.yaml:3: fp8.filter_fqns.1:", "the integer 1"],
    "fp8:\n  filter_fqns:\n    - ''": ["a.yaml:3: fp8.filter_fqns.0:", "not empty"],
    "fp8: [1]": ["a.yaml:1: fp8: expected a map of keys, found a list"],
    "fp8:": ["a.yaml:1: fp8: expected a map of keys, found null"],
    "fp8: true": ["a.yaml:1: fp8: expected a map of keys, found true"],
    "compile:\n  mode: fast": ["a.yaml:2: compile.mode:", "reduce-overhead", "`fast`"],
    "compile:\n  mode: null": ["a.yaml:2: compile.mode: expected one of default", "found null"],
    "compile:\n  backend: 1": ["a.yaml:2: compile.backend: expected text or null", "integer 1"],
    "compile:\n  dynamc: true": ["a.yaml:2: compile.dynamc:", "did you mean `dynamic`?"],
    "fp_8: {}": ["a.yaml:1: fp_8: expected a section name", "did you mean `fp8`?"],
    "FP8: {}": ["a.yaml:1: FP8:", "did you mean `fp8`?"],
    "complie: {}": ["a.yaml:1: complie:", "did you mean `compile`?"],
    "fp8.enabled: true": ["a.yaml:1: fp8.enabled:", "sections hold their keys in a map"],
    "fp8:\n  enabled: true\n  enabled: true": ["a.yaml:3: fp8: expected each key once", "line 2"],
    "a: {b: [{c: 1,\n c: 2}]}": ["a.yaml:2: a.b.0: expected each key once", "line 1"],
    "fp8: {}\nmodel: {}\nfp8: {}": ["a.yaml:3: expected each key once, found `fp8` again"],
}


@pytest.mark.parametrize(("text", "words"), BAD_SETTINGS.items())
def test_a_bad_setting_is_an_error_that_says_where_and_what(load, text, words):
    with pytest.raises(ConfigError) as error:
        load(text)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("key", ALL_KEYS)
def test_a_misspelt_key_names_the_right_one(load, key):
    with pytest.raises(ConfigError, match=f"fp8.{key}s: .*did you mean `{key}`"):
        load(f"fp8:\n  {key}s: true")


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)

BAD_FILES = {
    "empty": (b"", ["a.yaml: expected a map of sections, found nothing"]),
    "blank": (b" \n\n", ["found nothing"]),
    "comment": (b"# nothing\n", ["found nothing"]),
    "null": (b"null\n", ["found nothing"]),
    "only marker": (b"---\n", ["found nothing"]),
    "list": (b"- 1\n- 2\n", ["a.yaml:1: expected a map of sections, found a list"]),
    "scalar": (b"fp8", ["found the string `fp8`"]),
    "100 MB of brackets": (b"[" * 100_000_000, ["at most 1 MiB"]),
    "brackets": (b"[" * 1_000_000, ["a.yaml:1"]),
    "nested lists": (b"a:\n " + b"- " * 500_000, ["a.yaml:2", "at most 32 levels"]),
    "nested maps": (b"a: " + b"{a: " * 40 + b"}" * 40, ["at most 32 levels"]),
    "billion laughs": (LAUGHS.encode(), ["aliases that expand to at most 16 MiB"]),
    "long text by alias": (
        b"a: &a " + b"x" * 500_000 + b"\nb: [" + b"*a, " * 100_000 + b"]",
        ["aliases that expand to at most 16 MiB"],
    ),
    "deep by alias": (
        b"a: &a " + b"[" * 20 + b"]" * 20 + b"\nb: " + b"[" * 20 + b"*a" + b"]" * 20,
        ["a.yaml:2", "at most 32 levels"],
    ),
    "alias of itself": (b"a: &a [*a]\n", ["a.yaml:1", "part of"]),
    "unknown alias": (b"a: 1\nb: *c\n", ["a.yaml:2", "not defined"]),
    "tab": (b"fp8:\n\tenabled: true\n", ["a.yaml:2", "spaces", "a tab"]),
    "tab after spaces": (b"fp8:\n  \tenabled: true\n", ["a.yaml:2", "a tab"]),
    "Latin-1": (b"fp8:\n  # caf\xe9\n  enabled: true\n", ["a.yaml:2", "UTF-8", "0xE9"]),
    "overlong UTF-8": (b"a: \xc0\xaf\n", ["a.yaml:1", "0xC0"]),
    "surrogate": (b"a: \xed\xa0\x80\n", ["a.yaml:1", "0xED"]),
    "beyond Unicode": (b"a: \xf4\x90\x80\x80\n", ["a.yaml:1", "0xF4"]),
    "cut off character": (b"a: \xe2\x82", ["a.yaml:1", "0xE2"]),
    "UTF-16": ("fp8: {}".encode("utf-16"), ["UTF-16", "save the file as UTF-8"]),
    "UTF-16 without BOM": ("fp8: {}".encode("utf-16-le"), ["control character 0x00"]),
    "UTF-32": ("fp8: {}".encode("utf-32"), ["UTF-32"]),
    "control character": (b"a: 1\nb: \x07\n", ["a.yaml:2", "0x07"]),
    "two documents": (b"fp8: {}\n---\nfp8: {}\n", ["a.yaml:", "one YAML document"]),
    "text after the end": (b"fp8: {}}\n", ["a.yaml:1"]),
    "unclosed": (b"fp8: {enabled: true\n", ["a.yaml:", "valid YAML"]),
    "unclosed quote": (b"fp8:\n  recipe_name: 'row\n", ["a.yaml:", "never closed"]),
    "unclosed double quote": (b'fp8: {}\na:\n  b: "x', ["a.yaml:", "never closed"]),
    "unclosed quote of a key": (b"fp8: {}\n'a: 1", ["a.yaml:", "never closed"]),
    "bad indentation": (b"fp8:\n  enabled: true\n emulate: true\n", ["a.yaml:3"]),
    "list as key": (b"? [a]\n: 1\n", ["a.yaml:1", "a name as key"]),
    "null as key": (b": 1\n", ["a.yaml:1", "a name as key"]),
    "merge key": (b"a: &a {x: 1}\nfp8:\n  <<: *a\n", ["a.yaml:3: fp8:", "merge key"]),
    "tag": (b"a: !!python/object:os.system x\n", ["a.yaml:1: a:", "python/object"]),
    "tag on a list": (b"a: !!set [x]\n", ["a.yaml:1: a:", "set"]),
    "bad integer": (b"a: !!int x\n", ["a.yaml:1: a:"]),
    "large integer": (b"a: 1\nb: 9223372036854775808\n", ["a.yaml:2: b:", "a number in range"]),
    "large number": (b"b: 1e999\n", ["a.yaml:1: b:", "a number in range"]),
}


@pytest.mark.parametrize(("content", "words"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_an_error_that_says_where_and_what(load, content, words):
    with pytest.raises(ConfigError) as error:
        load(content)
    assert str(error.value).startswith("[config] ")
    for word in words:
        assert word in str(error.value)


def test_a_byte_order_mark_and_windows_line_ends_are_fine(load):
    assert load(b"\xef\xbb\xbf" + GUIDE.replace("\n", "\r\n").encode()) == GUIDE_CONFIG


def test_a_missing_file_is_a_file_not_found_error(tmp_path):
    path = tmp_path / "none.yaml"
    with pytest.raises(FileNotFoundError) as error:
        load_config(path)
    assert error.value.filename == str(path)
    with pytest.raises(NotADirectoryError):
        load_config("/dev/null/a.yaml")


def test_a_directory_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match=r"a directory"):
        load_config(tmp_path)


def test_a_file_that_cannot_be_read_is_an_os_error():
    with pytest.raises(OSError, match=r"/proc/self/mem"):  # opens, but has no byte at its start
        load_config("/proc/self/mem")


def test_an_endless_file_is_refused():
    with pytest.raises(ConfigError, match=r"at most 1 MiB"):
        load_config("/dev/zero")


def test_a_file_name_that_is_no_text(tmp_path):
    path = bytes(tmp_path) + b"/\xe9.yaml"
    with open(path, "wb") as file:
        file.write(b"[")
    with pytest.raises(ConfigError):
        load_config(path)


BAD_OVERRIDES = [
    ("fp8.enabled", "1", ["command line: fp8.enabled: expected true or false", "the integer 1"]),
    ("fp8.recipe_nam", "x", ["command line: fp8.recipe_nam:", "did you mean `recipe_name`?"]),
    ("fp8.enabled.x", "1", ["command line: fp8.enabled.x:", "a map or list above `x`", "true"]),
    ("fp8.filter_fqns.7", "x", ["command line: fp8.filter_fqns.7:", "less than 1", "`7`"]),
    ("fp8.filter_fqns", "*.a", ["command line: fp8.filter_fqns: expected valid", "quote"]),
    ("fp8.filter_fqns", "[a", ["command line: fp8.filter_fqns:", "close each bracket"]),
    ("fp8.recipe_name", "\udce9", ["command line: fp8.recipe_name:", "0xE9"]),
    ("", "1", ["command line: expected a dotted key"]),
    ("fp8..enabled", "1", ["command line: expected a dotted key", "`fp8..enabled`"]),
    (".".join("a" * 40), "1", ["command line: expected a dotted key"]),
    ("fp", "1", ["command line: fp:", "did you mean `fp8`?"]),
]


@pytest.mark.parametrize(("key", "text", "words"), BAD_OVERRIDES)
def test_a_bad_override_names_the_command_line(load, key, text, words):
    with pytest.raises(ConfigError) as error:
        load(GUIDE, (key, text))
    for word in words:
        assert word in str(error.value)


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


DOCUMENT = """\
optimizer:
  lr: 1e-5
  betas: [0.9, .999]
  eps: 1.e-8
  zero: -0
  hex: 0x1F
  octal: 0o17
  infinite: -.inf
  nan: .nan
  quoted: "1e-5"
  yes: yes
  date: 2024-01-01
  version: 1.2.3
  nothing: ~
  tagged: !!str 12
  7: seven
  flow: {a: &x [1, {b: TRUE}], c: *x}
  text: |
    two
    lines
"""


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


def mutated(text, rng):
    """Text with a few bytes changed, removed, doubled or swapped in."""
    for _ in range(rng.randint(1, 8)):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.randint(0, 12))
        piece = rng.choice([b"", text[start:end] * 2, rng.randbytes(2), rng.choice(FRAGMENTS)])
        text = text[:start] + piece + text[end:]
    return text


FRAGMENTS = b"[ ] { } : - ? & * ! | > ' \" # % @ , ~ &a *a !!int !<x> --- ... << 0x 1e .inf".split()
FRAGMENTS += [b"\n", b"\n  ", b"\t", b"\r", b": ", b"- ", b"\xef\xbb\xbf", b"\xff", b"\\u", b"\0"]


@pytest.mark.parametrize("seed", range(10))
def test_damaged_files_are_read_or_refused(load, seed):
    rng = random.Random(seed)
    sources = [GUIDE.encode(), DOCUMENT.encode(), LAUGHS.encode(), b""]
    refused = 0
    for _ in range(200):
        text = mutated(rng.choice(sources), rng)
        try:
            config = load(text)
        except ConfigError as error:
            message = str(error)
        else:
            message = None
            assert load(dump(config)) == config, text
        refused += message is not None
        assert message is None or re.match(r"\[config\] .*a\.yaml", message), text
    assert 0 < refused < 200


def test_the_readers_limits_leave_room_for_a_large_file(tmp_path):
    path = Path(tmp_path / "a.yaml")
    path.write_text("fp8: {}\nlayers:\n" + "".join(f"  layer_{i}: {i}\n" for i in range(20_000)))
    tree, _ = _C.load_document(path)
    assert tree["layers"]["layer_19999"] == 19_999
