"""The command line itself: what it understands, and what it says otherwise."""

from __future__ import annotations

import subprocess
import sys

import pytest

from float8.cli import UsageError, parse


def test_keys_and_flags_in_any_order():
    parsed = parse(
        ["train", "--resume", "--fp8.recipe_name", "rowwise", "a.yaml", "--bf16-baseline=false"]
    )
    assert parsed.files == ["a.yaml"]
    assert parsed.flags == {"resume"}
    assert parsed.overrides == [("fp8.recipe_name", "rowwise"), ("bf16_baseline", "false")]


def test_a_negative_number_is_a_value():
    assert parse(["train", "a.yaml", "--rng.seed", "-1"]).overrides == [("rng.seed", "-1")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian", "a.yaml"], "train, plan, compare, env"),
        (["train"], "one CONFIG.yaml"),
        (["train", "a.yaml", "b.yaml"], "one CONFIG.yaml"),
        (["env", "a.yaml"], "no file"),
        (["train", "a.yaml", "--resum"], "--resume"),
        (["train", "a.yaml", "--optimizer.lr", "--resume"], "needs a value"),
        (["train", "a.yaml", "-r"], "no option '-r'"),
    ],
)
def test_a_wrong_command_line_says_what_is_right(words, said):
    with pytest.raises(UsageError) as caught:
        parse(words)
    assert said in str(caught.value)


def test_a_wrong_command_line_exits_with_2(cli):
    result = cli("trian", "a.yaml")
    assert result.status == 2
    assert result.err.count("\n") == 1


def test_a_missing_file_is_named(cli, tmp_path):
    result = cli("plan", tmp_path / "none.yaml")
    assert result.status == 1
    assert result.err == f"float8: error: No such file or directory: {tmp_path}/none.yaml\n"


def test_debug_shows_the_traceback(config, capfd):
    from float8.cli import main

    assert main(["plan", str(config), "--debug", "--rng.sed", "1"]) == 2
    assert "Traceback" in capfd.readouterr().err


def test_help_does_not_wait_for_transformers():
    script = (
        "import sys; from float8.cli import main; main(['--help']);"
        "sys.exit(bool({'transformers', 'matplotlib', 'rich', 'torchdata'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage: float8" in done.stdout


def test_env_names_versions_and_what_is_missing(cli):
    import torch

    result = cli("env")
    assert result.status == 0
    assert torch.__version__ in result.out
    assert "cuBLASLt" in result.out
    if not torch.cuda.is_available():
        assert "no CUDA device" in result.out
        assert "set fp8.emulate to true" in result.out


def test_env_says_which_package_is_missing(cli, monkeypatch):
    from float8 import env

    monkeypatch.setattr(env, "_TRAINING_PACKAGES", ("rich", "no-such-package"))
    result = cli("env")
    assert "no-such-package  missing" in " ".join(result.out.split(" ")).replace("   ", "  ")
    assert "float8 train needs no-such-package" in result.out


def test_a_package_that_is_missing_says_how_to_get_it(config):
    code = (
        "import sys; sys.modules['rich.console'] = None; from float8.cli import main; "
        f"sys.exit(main(['train', {str(config)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "needs the package rich" in done.stderr
    assert "pip install 'float8[train]'" in done.stderr
    assert done.stderr.count("\n") == 1
