"""UNVERIFIED.md: every claim names checks that exist, and only results cross it off."""

import ast
import re

import pytest
from gpu.checks import FAILED as TEST_FAILED
from gpu.checks import (
    GPU_TESTS,
    PASSED,
    SANITIZED,
    SANITIZERS,
    matching,
    parse_gtest,
    parse_pytest,
    verdict,
)
from gpu.claimed import claims_section, row
from gpu.claims import CLAIMS, Claim
from gpu.goals import GOALS, judge
from invented import ROOT, invented

EARLY, LATE = "2030-01-01T00:00:00+00:00", "2030-01-02T00:00:00+00:00"


def cpp_tests():
    """The names of the C++ conformance suite on a GPU, from its sources."""
    names = []
    for path in (ROOT / "tests" / "cpp" / "ops").glob("*_test.cpp"):
        for suite, test in re.findall(r"^TEST_P\((\w+), (\w+)\)", path.read_text(), re.MULTILINE):
            names += [f"Backend/{suite}.{test}/{where}" for where in ("Cuda", "CudaEmulated")]
    assert len(names) > 50
    return names


def python_tests():
    """The tests in tests/python/cuda, as checks name them."""
    return [
        f"{path.name}::{node.name}"
        for path in (ROOT / "tests" / "python" / "cuda").glob("test_*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_each_claim_names_checks_that_exist(claim):
    assert claim.checks
    assert (ROOT / claim.where).is_file()
    tests = dict.fromkeys(cpp_tests() + python_tests(), PASSED)
    for check in claim.checks:
        kind, name = check.split(":", 1)
        if kind == "goal":
            assert name in GOALS
        elif kind == "holds":
            assert name == "loss_parity"
        elif kind == "sanitizer":
            assert name in SANITIZERS
        else:
            assert matching(check, tests), f"{check} stands for no test"


def test_each_goal_and_gpu_test_confirms_a_claim():
    checks = {check for claim in CLAIMS for check in claim.checks}
    assert {f"goal:{name}" for name in GOALS} <= checks
    assert {f"py:{name}" for name in python_tests()} <= checks
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)


def test_the_filters_of_the_programs_name_tests_that_exist():
    for pattern in (*SANITIZED.split(":"), *GPU_TESTS.split(":")):
        assert matching(f"cpp:{pattern}", dict.fromkeys(cpp_tests(), PASSED)), pattern


CLAIM = Claim("it", "it works", "README.md", ("py:a.py::b", "goal:step.speed"), "9.0")


def check(status, date=EARLY, **environment):
    return invented(
        "gpu_checks", {"check": "py:a.py::b"}, date, status=status, environment=environment
    )


def step(value, date=EARLY, recipe="rowwise", **environment):
    device = environment.get("device", "NVIDIA H200")
    goals = [judge("step.speed", value, device)]
    return invented("gpu_step", {"recipe": recipe}, date, goals=goals, environment=environment)


def is_crossed_off(checks, steps):
    return row(CLAIM, {"gpu_checks": checks, "gpu_step": steps})[0] == "~~`it`~~"


def test_a_claim_goes_when_all_of_its_checks_passed():
    assert is_crossed_off([check(PASSED)], [step(1.4)])
    cells = row(CLAIM, {"gpu_checks": [check(PASSED)], "gpu_step": [step(1.4, LATE)]})
    assert cells[2] == "confirmed: NVIDIA H200, commit 0123456789ab, 2030-01-02"


@pytest.mark.parametrize(
    ("checks", "steps"),
    [
        ([], [step(1.4)]),
        ([check(PASSED)], []),
        ([check("failed")], [step(1.4)]),
        ([check("not run")], [step(1.4)]),
        ([check(PASSED), check("failed", LATE)], [step(1.4)]),
        ([check(PASSED)], [step(1.3)]),
        ([check(PASSED)], [step(1.4), step(1.3, recipe="tensorwise")]),
        ([check(PASSED)], [step(1.4), step(1.3, LATE, commit="ba9876543210")]),
        ([check(PASSED, capability="8.9")], [step(1.4)]),
        ([check(PASSED)], [step(1.4, device="NVIDIA L40S")]),
    ],
)
def test_a_claim_stays_or_comes_back(checks, steps):
    assert not is_crossed_off(checks, steps)


def test_a_claim_about_any_gpu_takes_any_but_no_cpu():
    claim = Claim("any", "any", "README.md", ("py:a.py::b",))
    assert row(claim, {"gpu_checks": [check(PASSED, capability="12.0")]})[0] == "~~`any`~~"
    assert row(claim, {"gpu_checks": [check(PASSED, capability="")]})[0] == "`any`"


@pytest.mark.parametrize(("holds", "state"), [((True, True), "~~`it`~~"), ((True, False), "`it`")])
def test_loss_parity_must_hold_for_each_recipe_of_the_last_run(holds, state):
    claim = Claim("it", "it", "README.md", ("holds:loss_parity",))
    old = invented("loss_parity", {"recipe": "rowwise"}, EARLY, holds=False)
    last = [invented("loss_parity", {"recipe": str(i)}, LATE, holds=h) for i, h in enumerate(holds)]
    assert row(claim, {"loss_parity": [old, *last]})[0] == state


def test_the_open_claims_are_counted():
    assert claims_section({}).startswith(f"{len(CLAIMS)} of {len(CLAIMS)} claims are open.")


GTEST = """
[==========] Running 4 tests from 1 test suite.
[ RUN      ] Backend/Amax.Is/Cuda
[       OK ] Backend/Amax.Is/Cuda (12 ms)
[ RUN      ] Backend/Amax.Reads/Cuda
[  SKIPPED ] Backend/Amax.Reads/Cuda (0 ms)
[ RUN      ] Backend/Cast.Is/Cuda
x.cpp:1: Failure
[  FAILED  ] Backend/Cast.Is/Cuda, where GetParam() = Cuda (1 ms)
[ RUN      ] Backend/Cast.Crashes/CudaEmulated
Segmentation fault
[  FAILED  ] 1 test, listed below:
"""


def test_a_skip_and_a_crash_are_failures():
    outcomes = parse_gtest(GTEST.splitlines())
    assert outcomes == {
        "Backend/Amax.Is/Cuda": PASSED,
        "Backend/Amax.Reads/Cuda": "skipped",
        "Backend/Cast.Is/Cuda": TEST_FAILED,
        "Backend/Cast.Crashes/CudaEmulated": TEST_FAILED,
    }
    assert verdict(matching("cpp:Backend/Amax.Is/Cuda", outcomes))["status"] == PASSED
    whole = verdict(matching("cpp:Backend/*/Cuda", outcomes))
    assert (whole["status"], whole["tests"], whole["bad_count"]) == ("failed", 3, 2)
    assert verdict(matching("cpp:Backend/None.At/All", outcomes))["status"] == "not run"


PYTEST = """
tests/python/cuda/test_layers.py::test_a[tensorwise] PASSED              [ 10%]
tests/python/cuda/test_layers.py::test_a[rowwise] FAILED                 [ 20%]
tests/python/cuda/test_layers.py::test_ab SKIPPED (torch sees no GPU)    [ 30%]
tests/python/cuda/test_layers.py::test_c
Fatal Python error: Aborted
"""


def test_pytests_lines_are_read_the_same_way():
    outcomes = parse_pytest(PYTEST.splitlines())
    assert outcomes == {
        "test_layers.py::test_a[tensorwise]": PASSED,
        "test_layers.py::test_a[rowwise]": TEST_FAILED,
        "test_layers.py::test_ab": "skipped",
        "test_layers.py::test_c": TEST_FAILED,
    }
    assert len(matching("py:test_layers.py::test_a", outcomes)) == 2
