"""What the YAML reader refuses, and what it says."""

import random
import re

import pytest
from config_files import DOCUMENT, GUIDE, ConfigFile

from float8.config import ConfigError, dump, load_config


@pytest.fixture
def load(tmp_path):
    """Loads text or bytes as the file a.yaml, with overrides."""
    return ConfigFile(tmp_path / "a.yaml").load


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
    assert load(b"\xef\xbb\xbf" + GUIDE.replace("\n", "\r\n").encode()) == load(GUIDE)


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
