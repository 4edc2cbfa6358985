"""The GPU benchmarks run from end to end on the CPU, and their tables and pictures can be made."""

import json
import os
import subprocess
import sys

import pytest
import report
from gpu.pictures import PICTURES
from gpu.tables import GPU_TABLES
from invented import BENCHMARKS, GPU, invented, lines_of, write
from records import by_benchmark, read

FIGURES = {
    "gpu_casts": {"of_copy", "bytes", "goals"},
    "gpu_gemms": {"over_bf16", "over_scaled_mm", "flops", "least_bytes", "goals"},
    "gpu_layers": {"floor", "of_floor", "torchao_over_ours", "torchao_over_ours_eager", "goals"},
    "gpu_step": {"goals"},
    "gpu_kernels": {"shares", "seconds_by_kernel"},
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_rehearsal_writes_every_figure_and_says_what_it_is(rehearsed, name):
    records = by_benchmark(rehearsed)[name]
    assert records
    for record in records:
        assert "error" not in record
        assert record.keys() >= FIGURES[name], record
        assert record["environment"]["rehearsal"] is True
        for goal in record.get("goals", []):
            assert goal["status"] == "no goal for this device"


def test_every_shape_has_the_recipes_and_candidates(rehearsed):
    layers = by_benchmark(rehearsed)["gpu_layers"]
    assert {r["subject"]["recipe"] for r in layers} == {"tensorwise", "rowwise"}
    for record in layers:
        assert set(record["seconds"]) == {
            "bf16 compiled", "ours eager", "ours compiled", "torchao eager", "torchao compiled",
        }  # fmt: skip
        assert record["compiled_is_eager"] is True
        assert set(record["floor"]["products"]) == {"fprop", "dgrad", "wgrad"}


def test_the_step_counts_memory_and_speed(rehearsed):
    step, saved = by_benchmark(rehearsed)["gpu_step"]
    assert step["peak_bytes"].keys() == saved["saved_bytes"].keys() == {"bf16", "ours", "torchao"}
    assert [goal["name"] for goal in step["goals"]] == ["step.speed", "step.memory"]
    assert [goal["name"] for goal in saved["goals"]] == ["step.saved"]


def test_tables_and_pictures_of_every_benchmark_can_be_made(rehearsed, tmp_path):
    for name, records in by_benchmark(rehearsed).items():
        whole = [{**r, "environment": {**r["environment"], **GPU}} for r in records]
        for record in whole:
            del record["environment"]["rehearsal"]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in whole))
    document = tmp_path / "README.md"
    regions = [*GPU_TABLES, "gpu_goals", "gpu_summary", "unverified"]
    empty = "<!-- benchmark:{0}:begin -->\n<!-- benchmark:{0}:end -->\n"
    document.write_text("".join(empty.format(name) for name in regions))

    command = [sys.executable, str(BENCHMARKS / "report.py"), "--results", str(tmp_path)]
    subprocess.run([*command, str(document)], check=True)
    text = document.read_text()
    for name in by_benchmark(rehearsed):
        table = text.split(f"<!-- benchmark:{name}:begin -->")[1].split("<!--")[0]
        assert table.count("\n|") >= 3, name
        assert "NVIDIA H200, torch 2.11.0, driver 580.0, CUDA 13.0, cuBLASLt 13.0.0" in table
    summary = text.split("<!-- benchmark:gpu_summary:begin -->")[1].split("<!--")[0]
    assert "| 1.00 |" in summary
    assert "](./gpu_layers.svg)" in summary
    for name in PICTURES:
        assert f"]({'.'}/{name}.svg)" in text
        assert "<svg" in (tmp_path / f"{name}.svg").read_text()
    subprocess.run([*command, "--check", str(document)], check=True)  # a second run changes nothing


def test_the_summary_shows_all_of_a_runs_file(rehearsed, tmp_path):
    step = {"step": "layers"}
    ended = {"status": "ok", "seconds": 1.0, "why": ""}
    record = invented("gpu_steps", step, **ended, environment={"rehearsal": True})
    bare = {**record, "environment": {"device": "a rehearsal", "commit": "0", "rehearsal": True}}
    path = write(tmp_path / "results.jsonl", *rehearsed, record, bare)
    path.write_text(path.read_text() + '{"schema": 1, "bench')  # the run was stopped
    done = subprocess.run(
        [sys.executable, "-m", "gpu.summary", str(path)],
        cwd=BENCHMARKS, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("A rehearsal on the CPU: these figures mean nothing.")
    for heading in ("Steps", "Goals", "Layers", "Products", "Casts", "Training step", "Kernels"):
        assert f"## {heading}\n\n" in done.stdout
    assert "| layers | ok | 1 |" in done.stdout


def test_a_rehearsal_is_marked_wherever_it_comes_from(tmp_path):
    environ = {**os.environ, "FLOAT8_BENCHMARK_RESULTS": str(tmp_path / "results.jsonl")}
    environ["FLOAT8_BENCHMARK_REHEARSAL"] = "1"
    command = [sys.executable, str(BENCHMARKS / "host.py"), "--rounds", "2"]
    subprocess.run(command, env=environ, check=True, capture_output=True)
    records = lines_of(tmp_path / "results.jsonl")
    assert [r["environment"]["rehearsal"] for r in records] == [True] * 3
    assert read(tmp_path / "results.jsonl") == []


def test_without_files_the_tables_say_so():
    regions = report.sections({})
    assert regions["gpu_layers"] == "Not measured yet.\n"
    assert regions["gpu_goals"] == "Not measured on a GPU yet.\n"


def test_a_rehearsals_figures_stay_out_of_the_repository():
    program = "import argparse; from gpu.cases import Cases, parser\n"
    program += "from harness import results_file\n"
    program += "Cases('gpu_casts', parser('').parse_args(['--smoke'])); print(results_file('x'))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=BENCHMARKS, check=True, capture_output=True, text=True
    )
    assert str(BENCHMARKS) not in done.stdout


def test_a_benchmark_without_a_gpu_fails_in_words(gpuless):
    done = subprocess.run(
        [sys.executable, "-m", "gpu.casts"],
        cwd=BENCHMARKS, env=gpuless, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "[gpu_casts] needs a GPU with FP8: torch" in done.stderr
    assert "--smoke rehearses" in done.stderr


def test_make_gpu_without_a_gpu_fails_in_words_and_writes_nothing(gpuless, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "gpu", "--out", str(tmp_path / "out")],
        cwd=BENCHMARKS, env=gpuless, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "needs a GPU with FP8" in done.stderr
    assert "make gpu-rehearse" in done.stderr
    assert not (tmp_path / "out").exists()
