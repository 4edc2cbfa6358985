"""Result files that are cut off, of another version, of two runs, or of another machine."""

import json
import subprocess
import sys

import pytest
import report
from gpu.goals import GOALS, judge
from invented import BENCHMARKS, invented, lines_of, write
from records import latest, read

TAKE_IN = [sys.executable, "-m", "gpu.take_in"]
FIRST, SECOND = "2030-01-01T00:00:00+00:00", "2030-01-01T01:00:00+00:00"


def cast(k, share, date=FIRST, **more):
    """A cast's record."""
    figures = {"seconds": {"quantize": {"median": 1e-5}}, "bytes": 1000, "of_copy": spread(share)}
    goals = [judge("casts.of_copy", share, more.get("environment", {}).get("device", "H200"))]
    subject = {"recipe": "rowwise", "dtype": "bf16", "layout": "both", "m": 8, "k": k}
    return invented("gpu_casts", subject, date, **figures, goals=goals, **more)


def skipped(k, why, date=FIRST):
    """A record without figures."""
    subject = {"recipe": "rowwise", "dtype": "bf16", "layout": "both", "m": 8, "k": k}
    return invented("gpu_casts", subject, date, skipped=why)


def spread(value):
    return {"median": value, "p25": value, "p75": value}


def take_in(source, results):
    return subprocess.run(
        [*TAKE_IN, str(source), "--results", str(results)],
        cwd=BENCHMARKS, capture_output=True, text=True,
    )  # fmt: skip


def test_lines_go_to_the_file_of_their_benchmark_behind_those_that_are_there(tmp_path):
    results = tmp_path / "results"
    old = write(results / "gpu_casts.jsonl", cast(16, 0.5))
    host = invented("host", {"pass": "forward"})
    source = write(tmp_path / "run" / "results.jsonl", cast(16, 0.9, SECOND), host)
    done = take_in(source.parent, results)
    assert done.returncode == 0, done.stdout
    assert [r["of_copy"]["median"] for r in lines_of(old)] == [0.5, 0.9]
    assert lines_of(results / "host.jsonl") == [host]


def test_taking_in_twice_adds_nothing(tmp_path):
    source = write(tmp_path / "results.jsonl", cast(16, 0.9))
    take_in(source, tmp_path / "to")
    before = (tmp_path / "to" / "gpu_casts.jsonl").read_bytes()
    done = take_in(source, tmp_path / "to")
    assert "0 added, 1 there already" in done.stdout
    assert (tmp_path / "to" / "gpu_casts.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (json.dumps(cast(16, 0.9))[:-30], "line 2: not JSON (cut off?), left out"),
        (json.dumps({**cast(16, 0.9), "schema": 2}), "line 2: not of schema 1, left out"),
        (json.dumps({"schema": 1, "benchmark": "x"}), "line 2: not a whole record, left out"),
        ("[1]", "line 2: not of schema 1, left out"),
        (json.dumps(cast(16, 0.9, environment={"rehearsal": True})), "line 2: a rehearsal's"),
        (json.dumps({**cast(16, 0.9), "benchmark": "../x"}), 'no benchmark is named "../x"'),
    ],
)
def test_what_is_no_whole_record_is_left_out_and_named(tmp_path, line, why):
    source = write(tmp_path / "results.jsonl", cast(32, 0.9))
    source.write_text(source.read_text() + line)
    done = take_in(source, tmp_path / "to")
    assert why in done.stdout
    assert done.returncode == 0
    assert lines_of(tmp_path / "to" / "gpu_casts.jsonl") == [cast(32, 0.9)]
    assert list((tmp_path / "to").iterdir()) == [tmp_path / "to" / "gpu_casts.jsonl"]


def test_a_line_that_was_cut_off_here_does_not_swallow_the_next(tmp_path):
    there = write(tmp_path / "to" / "gpu_casts.jsonl", cast(16, 0.5))
    there.write_text(there.read_text()[:-40])
    take_in(write(tmp_path / "results.jsonl", cast(16, 0.9)), tmp_path / "to")
    assert [r["of_copy"]["median"] for r in read(there)] == [0.9]


def test_nothing_to_take_in_is_an_error(tmp_path):
    assert take_in(tmp_path, tmp_path / "to").returncode == 1
    empty = tmp_path / "results.jsonl"
    empty.write_text("")
    assert "nothing to take in" in take_in(empty, tmp_path / "to").stdout


def test_two_runs_on_one_commit_add_up_and_the_later_figure_counts():
    records = [cast(16, 0.5), cast(32, 0.6), cast(16, 0.9, SECOND), skipped(32, "late", SECOND)]
    assert [r["of_copy"]["median"] for r in latest(records)] == [0.9, 0.6]


def test_a_run_on_another_commit_replaces_all():
    newer = cast(16, 0.9, SECOND, environment={"commit": "ba9876543210"})
    assert latest([cast(16, 0.5), cast(32, 0.6), newer]) == [newer]


def test_of_changed_files_only_the_last_run_counts():
    dirty = {"commit": "0123456789ab-dirty"}
    runs = [cast(16, 0.5, environment=dirty), cast(32, 0.6, SECOND, environment=dirty)]
    assert latest(runs) == runs[1:]


def test_each_device_has_its_own_table_and_only_some_have_goals():
    other = {"device": "NVIDIA L40S", "capability": "8.9"}
    text = report.sections({"gpu_casts": [cast(16, 0.9), cast(16, 0.2, environment=other)]})
    ours, theirs = text["gpu_casts"].split("NVIDIA H200")
    assert "| reached |" in ours
    assert "| no goal for this device |" in theirs
    goals = text["gpu_goals"].split("NVIDIA H200")
    assert "| 1 of 1 | 0.90 | 0.90 |" in goals[0]
    assert "| no goal for this device | 0.20 | 0.20 |" in goals[1]


def test_what_has_no_figures_is_said_with_the_reason():
    records = [cast(16, 0.9), skipped(32, "out of time: 5 s"), skipped(48, "out of memory: 9 GiB")]
    text = report.sections({"gpu_casts": records})["gpu_casts"]
    assert "Without figures: out of time (1); out of memory (1)." in text
    only = report.sections({"gpu_casts": [skipped(32, "out of time: 5 s")]})["gpu_casts"]
    assert only.startswith("Without figures: out of time (1).")


def test_the_loss_paritys_table_shows_the_largest_difference():
    losses = {"bf16": [2.0, 2.1], "fp8": [2.01, 2.07]}
    subject = {"recipe": "rowwise", "steps": 300, "seeds": [1, 2]}
    record = invented("loss_parity", subject, final=losses, validation=losses, holds=True)
    text = report.sections({"loss_parity": [record]})["loss_parity"]
    assert "| rowwise | 300 | 2 | -0.0300 | -0.0300 | 0.1000, 0.1000 | yes |" in text


def test_the_clients_table_shows_what_the_rule_judged():
    figures = {"last": {"bf16": [2.0, 2.1], "torchao": [2.0, 2.3], "ours": [2.0, 2.2]}}
    figures["gap"] = {"torchao": [0.01, 0.03], "ours": [0.02, 0.03], "allowed": 0.03}
    figures["start"] = {"torchao": 0.001, "ours": 0.00002, "allowed": 0.0001}
    subject = {"client": "automodel", "processes": 2, "recipe": "rowwise"}
    record = invented("clients", subject, **figures, products=42, holds=False)
    row = "| automodel | 2 | rowwise | 2.0500 | 2.1500 | 2.1000 | 0.02000 | 0.02500 | 0.03000 "
    row += "| 0.00002 | 0.00010 | 42 | NO |"
    assert row in report.sections({"clients": [record]})["clients"]


def test_a_goal_is_judged_on_the_digits_that_are_shown():
    assert judge("gemms.tensorwise", 0.996, "NVIDIA H200")["status"] == "reached"
    assert judge("gemms.tensorwise", 0.994, "NVIDIA H200")["status"] == "missed"
    assert judge("host.forward", 2.004, "NVIDIA H200")["status"] == "reached"
    assert judge("host.forward", 2.01, "NVIDIA H100 80GB HBM3")["status"] == "missed"
    assert judge("step.saved", 0.1, "NVIDIA L40S")["status"] == "no goal for this device"
    assert GOALS["step.saved"].text == "at most 0.90"


def test_the_repositorys_documents_say_what_its_files_say():
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "report.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
