"""The runner of `make gpu`: limits, order, and what it says of what it did not do."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import gpu.__main__ as gpu
import pytest
from gpu.plan import BUILD, TOTAL_SECONDS, choose, plan
from gpu.steps import FAILED, LEFT_OUT, OK, OUT_OF_TIME, STOPPED, Step, allowance, run
from invented import BENCHMARKS, lines_of


def python(source):
    return (sys.executable, "-c", source)


def until(condition):
    """Waits for it, for half a minute at most."""
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.05)
    return False


def has_ended(pid):
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().split()[2] == "Z"


@pytest.fixture
def ran(tmp_path):
    """Runs one step with a generous limit."""

    def call(source, seconds=30.0):
        return run(Step("x", python(source), 1), seconds, os.environ, tmp_path, tmp_path / "log")

    return call


def test_what_a_step_prints_is_logged_and_its_end_recorded(ran, tmp_path):
    assert ran("print('hello')").status == OK
    assert (tmp_path / "log").read_text() == "hello\n"
    outcome = ran("print('a reason'); raise SystemExit(3)")
    assert (outcome.status, outcome.why) == (FAILED, "exit status 3: a reason")


def test_a_step_that_is_too_slow_is_stopped_with_all_that_it_started(ran, tmp_path):
    source = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)"
    )
    outcome = ran(source, seconds=2.0)
    assert outcome.status == STOPPED
    assert outcome.why.startswith("out of time after 2 s")
    assert until(lambda: has_ended(int((tmp_path / "log").read_text())))


def test_a_runner_that_is_ended_ends_its_step_too(tmp_path):
    source = (
        "import os, sys, gpu.__main__ as gpu\n"
        "from gpu.steps import Step\n"
        "sleep = (sys.executable, '-c', 'import os, time; print(os.getpid()); time.sleep(600)')\n"
        "gpu.plan = lambda *_: [Step('sleep', sleep, 500)]\n"
        "sys.argv = ['gpu', '--rehearse', '--out', sys.argv[1]]\n"
        "gpu.main()"
    )
    runner = subprocess.Popen([*python(source), str(tmp_path)], cwd=BENCHMARKS)
    log = tmp_path / "log.txt"
    assert until(lambda: log.exists() and log.read_text())
    runner.terminate()
    assert runner.wait(30) == 128 + signal.SIGTERM
    assert until(lambda: has_ended(int(log.read_text())))


def test_a_program_that_is_not_there_is_a_failed_step(tmp_path):
    outcome = run(Step("x", ("/nowhere",), 1), 1, os.environ, tmp_path, tmp_path / "log")
    assert outcome.status == FAILED
    assert "/nowhere" in outcome.why


def test_a_step_takes_its_budget_and_a_stretching_one_what_is_over():
    steps = [Step("a", (), 10), Step("b", (), 20, stretches=True), Step("c", (), 30)]
    assert allowance(steps, 0, 100) == 10
    assert allowance(steps, 1, 90) == 60  # 30 are kept for c
    assert allowance(steps, 1, 40) == 20
    assert allowance(steps, 2, 15) == 15


def run_steps(steps, seconds, tmp_path):
    recorder = gpu.Recorder(tmp_path / "results.jsonl", {"device": "NVIDIA H200"})
    end = time.monotonic() + gpu.LAST_SECONDS + seconds
    return gpu.run_all(steps, end, dict(os.environ), tmp_path, recorder)


def test_what_needs_a_failed_step_is_left_out_and_the_rest_runs(tmp_path):
    steps = [
        Step("build", python("raise SystemExit(1)"), 20),
        Step("tests", python(""), 20, needs=("build",)),
        Step("other", python(""), 20),
    ]
    outcomes = run_steps(steps, 60, tmp_path)
    assert [o.status for o in outcomes.values()] == [FAILED, LEFT_OUT, OK]
    records = lines_of(tmp_path / "results.jsonl")
    assert [r["subject"]["step"] for r in records] == ["build", "tests", "other"]
    assert records[1]["why"] == "build did not go well"


def test_what_cannot_run_here_says_why(tmp_path):
    outcomes = run_steps([Step("a", ("/nowhere",), 20, left_out="no texts")], 60, tmp_path)
    assert (outcomes["a"].status, outcomes["a"].why) == (LEFT_OUT, "no texts")


def test_what_has_no_time_left_says_so(tmp_path):
    outcomes = run_steps([Step("a", python(""), 20)], 1, tmp_path)
    assert outcomes["a"].status == OUT_OF_TIME
    assert lines_of(tmp_path / "results.jsonl")[0]["status"] == OUT_OF_TIME


def test_the_build_comes_first_and_names_choose_what_follows(tmp_path):
    steps = plan(False, tmp_path, tmp_path)
    assert [step.name for step in steps[:3]] == list(BUILD)
    assert [s.name for s in choose(steps, ["layers"])] == [*BUILD, "layers"]
    with pytest.raises(SystemExit, match="no step named laers; there are unpack, build"):
        choose(steps, ["laers"])
    assert TOTAL_SECONDS < 9 * 60


def test_a_rehearsal_measures_nothing_on_a_gpu(tmp_path):
    for step in plan(True, tmp_path, tmp_path):
        if step.name not in BUILD:
            assert {"--smoke", "--rehearse", "--rounds"} & set(step.command), step
    variables = gpu.environ(tmp_path, rehearse=True)
    assert "FLOAT8_BENCHMARK_DEVICE" not in {k for k in variables if k not in os.environ}
    assert variables["FLOAT8_BENCHMARK_REHEARSAL"] == "1"  # so that all of its lines are marked
    assert gpu.environ(tmp_path, rehearse=False)["FLOAT8_REQUIRE_CUDA"] == "1"


def test_at_most_eight_files_come_back(tmp_path):
    """Those that the runner names; each step's figures go to one of them."""
    variables = gpu.environ(tmp_path, rehearse=True)
    assert variables["FLOAT8_BENCHMARK_RESULTS"] == str(tmp_path / "results.jsonl")
    gpu.write_environment(tmp_path / "environment.txt", variables)
    assert "$ nvidia-smi" in (tmp_path / "environment.txt").read_text()


def test_the_same_folder_is_added_to(tmp_path):
    for _ in range(2):
        run_steps([Step("a", python(""), 20)], 30, tmp_path)
    text = (tmp_path / "results.jsonl").read_text()
    assert len([json.loads(line) for line in text.splitlines()]) == 2
