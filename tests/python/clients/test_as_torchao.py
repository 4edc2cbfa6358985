"""python -m float8.as_torchao: programs that know torchao only train with float8."""

import importlib
import json
import os
import sys

import pytest
from as_torchao import HERE, run

from float8.as_torchao import __main__ as command
from float8.as_torchao.stand_ins import STAND_INS

ACCELERATE = HERE.parents[1] / "clients_env" / "accelerate_fp8.py"


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """The names as a grandchild sees them, which a shell started, beside another sitecustomize."""
    folder = tmp_path_factory.mktemp("path")
    (folder / "sitecustomize.py").write_text(
        "import sys\nsys.modules['float8_test_customized'] = sys\n"
    )
    script = HERE / "torchao_names.py"
    done = run("--", "sh", "-c", f"{sys.executable} {script}; true", path=folder)
    assert done.stdout, done.stderr
    return {**json.loads(done.stdout), "stderr": done.stderr}


def test_names_are_float8s(names):
    assert names["ours"] == []
    assert names["same class"]
    assert not names["hasattr"]
    assert names["inference"].replace(os.sep, "/").endswith("torchao/float8/inference.py")


def test_it_says_so_in_one_line(names):
    said = [line for line in names["stderr"].splitlines() if "[as_torchao]" in line]
    assert len(said) == 1
    assert "torchao.float8 is float8" in said[0]


def test_missing_names_are_clear_errors(names):
    for text, wanted in zip(
        names["errors"],
        ("Float8TrainingTensor", "Float8LinearNoCompile", "float8_tensor_parallel"),
        strict=True,
    ):
        assert f"must be one that float8 has, got {wanted};" in text


def test_a_process_without_float8_does_not_get_torchaos(names):
    assert "[as_torchao] torchao.float8 is to be float8" in names["without float8"]


def test_other_customizations_run_too(names):
    assert names["sitecustomize of others"]


def test_the_names_are_those_of_torchao():
    for module, wanted in STAND_INS.items():
        real = importlib.import_module(module)
        assert [name for name in wanted if not hasattr(real, name)] == []


def test_accelerate_trains_with_float8():
    done = run(ACCELERATE, "fp8", 1, 3)
    found = json.loads(done.stdout.split("RESULT", 1)[1])
    layers = 2 * 7 - 1  # accelerate leaves out the first and the last
    assert found["converted"] == layers
    assert found["class"] == ["float8.float8_linear"]
    assert found["float8_products"] == [[layers * 3, layers * 3]]  # a rank's first and last step
    assert len(found["losses"]) == 3


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        ([], 2, "usage: "),
        (["--", "no-such-program"], 127, "COMMAND must be a program that can be run, got no-such"),
    ],
)
def test_wrong_commands(arguments, status, text, capsys):
    assert command.main(arguments) == status
    assert text in capsys.readouterr().err


def test_torchao_must_be_there(monkeypatch, capsys):
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda _: None)
    assert command.main(["train.py"]) == 127
    assert "torchao must be installed beside float8" in capsys.readouterr().err
