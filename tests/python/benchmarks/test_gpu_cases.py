"""What a benchmark does with a subject that cannot be measured, and with a missing peer."""

import argparse
import subprocess
import sys

import gpu.candidates
import gpu.layers
import gpu.tables
import pytest
import torch
from gpu.cases import Cases, WrongResultError
from gpu.machine import CLOCKS, QUERIES, parse, unfit
from gpu.shapes import shapes
from invented import lines_of
from source import CARRIED, commit, digest

SUBJECT = {"what": "it"}


@pytest.fixture
def cases(tmp_path, monkeypatch):
    monkeypatch.setenv("FLOAT8_BENCHMARK_RESULTS", str(tmp_path / "results.jsonl"))
    return Cases("gpu_casts", argparse.Namespace(smoke=True, budget=100.0))


def record(tmp_path):
    (only,) = lines_of(tmp_path / "results.jsonl")
    return only


def test_a_shape_that_needs_more_memory_than_there_is_is_skipped_and_says_both(cases, tmp_path):
    cases.run(SUBJECT, lambda: pytest.fail("measured"), needs_bytes=2.0**40)
    assert record(tmp_path)["skipped"] == "out of memory: about 1024.0 GiB needed, 8.0 GiB free"
    assert cases.exit_status() == 0


def test_running_out_of_memory_all_the_same_is_no_failure(cases, tmp_path):
    def measure():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried\nmore")

    cases.run(SUBJECT, measure)
    assert record(tmp_path)["skipped"] == "out of memory: CUDA out of memory. Tried"
    assert cases.exit_status() == 0


def test_a_subject_without_time_is_skipped_and_says_so(cases, tmp_path):
    cases.smoke = False  # a rehearsal takes the time that it needs
    cases.run(SUBJECT, lambda: pytest.fail("measured"), seconds=1000.0)
    assert record(tmp_path)["skipped"].startswith("out of time: 1000 s needed, ")


def test_a_wrong_result_is_not_timed_and_the_next_subject_runs(cases, tmp_path):
    def wrong():
        raise WrongResultError("bytes differ")

    cases.run({"what": "first"}, wrong)
    cases.run({"what": "second"}, lambda: ("second | 1 us", {"seconds": {}}))
    first, second = lines_of(tmp_path / "results.jsonl")
    assert first["error"] == "WrongResultError: bytes differ"
    assert second["subject"] == {"what": "second"}
    assert cases.exit_status() == 1


def test_a_layer_that_computes_something_else_is_found(cases):
    def off(candidate):
        return lambda: tuple(1.5 * t for t in candidate())

    candidates = gpu.layers.layers(cases, shapes(smoke=True)[0], ("rowwise",), torchao=False)
    assert gpu.layers.check(dict(candidates)) == {}
    candidates["rowwise ours eager"] = off(candidates["rowwise ours eager"])
    with pytest.raises(WrongResultError, match=r"rowwise ours eager: relative error 0\.5"):
        gpu.layers.check(candidates)


def test_a_missing_peer_leaves_its_column_empty_and_says_why(cases, tmp_path):
    shape = shapes(smoke=True)[0]
    group = gpu.layers.Group(cases, shape, ("rowwise",), "torchao: ImportError: none")
    line, figures = group.measure("rowwise")
    assert line.endswith("no torchao")
    assert figures["missing"] == "torchao: ImportError: none"
    assert set(figures["seconds"]) == {"bf16 compiled", "ours eager", "ours compiled"}
    assert "torchao_over_ours" not in figures
    assert {goal["name"] for goal in figures["goals"]} == {
        "layers.of_floor", "layers.faster_than_bf16",
    }  # fmt: skip
    row = gpu.tables.layers([{"subject": {**shape.subject(), "recipe": "rowwise"}, **figures}])[1]
    assert row[6:8] == [gpu.tables.NONE] * 2


def test_a_peer_that_cannot_be_imported_is_named(monkeypatch):
    assert gpu.candidates.torchao_missing() == ""
    monkeypatch.setitem(sys.modules, "torchao.float8", None)
    assert gpu.candidates.torchao_missing().startswith("torchao: ModuleNotFoundError")


def test_a_gpu_without_fp8_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA A100")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 0))
    assert unfit() == "NVIDIA A100 has compute capability 8.0; FP8 products need 8.9 or later"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 9))
    assert unfit() == ""


def test_what_nvidia_smi_does_not_know_is_null():
    assert parse(QUERIES, "580.159.04, 1980, 2619, 700.00\n") == {
        "driver": "580.159.04", "max_sm_mhz": 1980.0, "max_memory_mhz": 2619.0,
        "power_limit_w": 700.0,
    }  # fmt: skip
    assert set(parse(CLOCKS, "").values()) == {None}
    assert parse(CLOCKS, "1980, [N/A], [Not Supported], 40")["memory_mhz"] is None


def test_a_copy_without_git_knows_its_commit_until_a_file_changes(tmp_path):
    assert commit(tmp_path) == "unknown"
    (tmp_path / "src").mkdir()
    source = tmp_path / "src" / "a.cpp"
    source.write_text("int a;")
    (tmp_path / CARRIED).parent.mkdir()
    (tmp_path / CARRIED).write_text(f'{{"commit": "abc", "digest": "{digest(tmp_path)}"}}')
    assert commit(tmp_path) == "abc"
    source.write_text("int b;")
    assert commit(tmp_path) == "abc-dirty"
    (tmp_path / CARRIED).write_text('{"commit": "ab')
    assert commit(tmp_path) == "unknown"


def test_a_repository_names_its_own_commit(tmp_path):
    def git(*arguments):
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)

    (tmp_path / "src").mkdir()
    source = tmp_path / "src" / "a.cpp"
    source.write_text("int a;")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "a")
    head = git("rev-parse", "--short=12", "HEAD").stdout.strip()
    assert commit(tmp_path) == head
    (tmp_path / "README.md").write_text("not measured")
    assert commit(tmp_path) == head
    source.write_text("int b;")
    assert commit(tmp_path) == f"{head}-dirty"
