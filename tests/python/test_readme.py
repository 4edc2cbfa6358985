"""The README's examples are run, not only read."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import float8

README = Path(__file__).parents[2] / "README.md"


def block(language: str) -> str:
    """The README's one fenced block of a language."""
    blocks = re.findall(
        rf"^```{language}\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL
    )
    assert len(blocks) == 1, f"{len(blocks)} blocks of {language}"
    return str(blocks[0])


def test_python_example_trains_a_converted_model() -> None:
    names: dict[str, object] = {}
    exec(compile(block("python"), "README.md", "exec"), names)
    model = names["model"]
    assert isinstance(model, nn.Sequential)
    assert [isinstance(layer, float8.Float8Linear) for layer in model] == [True, False, True, False]
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert model[0].weight.grad is not None


def test_report_in_the_readme_is_what_the_plan_prints() -> None:
    model = nn.Sequential(nn.Linear(256, 1024), nn.GELU(), nn.Linear(1024, 256), nn.Linear(256, 10))
    report = str(float8.plan_conversion(model).report).strip()
    indented = "\n".join("    " + line for line in report.splitlines())
    assert indented in README.read_text(), f"the README should say\n{indented}"


def test_yaml_example_loads(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(block("yaml"))
    config = float8.load_config(path)
    assert config.fp8.recipe_name == "rowwise"
    assert config.fp8.filter_fqns == ["lm_head"]


def test_cpp_example_builds_and_trains(tmp_path: Path) -> None:
    (tmp_path / "main.cpp").write_text(block("cpp"))
    (tmp_path / "CMakeLists.txt").write_text(block("cmake"))
    build = tmp_path / "build"
    run(
        "cmake",
        f"-S{tmp_path}",
        f"-B{build}",
        "-GNinja",
        f"-DCMAKE_PREFIX_PATH={float8.cmake_prefix_path}",
        f"-DPython_EXECUTABLE={sys.executable}",
    )
    run("cmake", "--build", str(build))
    output = run(str(build / "mlp"))
    assert "2 of 2 linear layers converted" in output
    losses = [float(loss) for loss in re.findall(r"loss ([0-9.e+-]+)", output)]
    assert len(losses) == 10
    assert losses[-1] < losses[0]


def run(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        pytest.fail(f"{' '.join(command)}\n{result.stdout}\n{result.stderr}")
    return result.stdout
