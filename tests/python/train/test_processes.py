"""`float8 train` in several real processes (gloo, on the CPU), beside one."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from processes import finish, run, start
from run_files import losses

import float8
from float8.cli import main
from float8.train.checkpoint.saver import list_checkpoints
from float8.train.command import check_rows
from float8.train.config.settings import load_settings

# A global batch of 12 rows divides among 1, 2 and 3 processes, and, one by one, among 4; two take
# 3 microbatches each.
WORDS = (
    "--step_scheduler.global_batch_size", 12, "--step_scheduler.ckpt_every_steps", 2,
    "--checkpoint.keep_last", 3, "--fp8.enable_fsdp_float8_all_gather", "true",
    "--fp8.precompute_float8_dynamic_scale_for_fsdp", "true",
    "--step_scheduler.val_every_steps", 3, "--optimizer.lr", "1e-2",
)  # fmt: skip
# BF16 weights round at other places when gradients are summed in another order: 2^-8 of a weight
# each step. Six steps of the largest of these errors stay well below this.
CLOSE = 5e-3


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="module")
def config(folder) -> Path:
    from conftest import CONFIG, write_config

    return write_config(folder, CONFIG)


@pytest.fixture(scope="module")
def two(config, folder):
    """A whole run of two processes; its folder is only read."""
    done = run("train", config, *WORDS, "--output_dir", folder / "two",
               "--validation_dataset.path", folder / "text.jsonl",
               "--checkpoint.save_consolidated", "true", processes=2)  # fmt: skip
    assert done.status == 0, done.err
    return done


@pytest.fixture(scope="module")
def one(config, folder):
    """The same run in one process."""
    words = ("train", config, *WORDS, "--output_dir", folder / "one",
             "--validation_dataset.path", folder / "text.jsonl")  # fmt: skip
    assert main([str(word) for word in words]) == 0


@pytest.mark.parametrize("name", ["bf16", "fp8"])
def test_two_processes_learn_what_one_learns(one, two, folder, name):
    ours, expected = losses(folder / "two", name), losses(folder / "one", name)
    assert len(ours) == 6
    assert ours[-1] < ours[0]
    # Nothing has been updated yet: only the order of the sum over 12 rows differs. FP8's scales are
    # the same, since the same rows share a microbatch.
    assert ours[0] == pytest.approx(expected[0], rel=1e-6)
    assert ours == pytest.approx(expected, rel=CLOSE)
    rows = [
        [json.loads(line) for line in (folder / run / name / "metrics.jsonl").open()]
        for run in ("two", "one")
    ]
    for key in ("validation_loss", "tokens"):
        both = [[row[key] for row in part if key in row] for part in rows]
        assert both[0] == pytest.approx(both[1], rel=CLOSE), key
    # BF16 gradients have a BF16 norm: two of its steps. Later ones are of weights that differ.
    first = [part[0]["grad_norm"] for part in rows]
    assert first[0] == pytest.approx(first[1], rel=2**-7)


def test_one_process_prints(two):
    assert two.err == ""
    assert two.out.count("7 of 8 linear layers converted") == 1
    assert two.out.count("sharded over 2 processes") == 1
    assert two.out.count("picture ") == 1
    assert [line.split()[0] for line in two.out.splitlines() if "step 6/6" in line] == [
        "bf16",
        "fp8",
    ]


def test_the_exported_model_is_the_trained_one(two, folder):
    from transformers import AutoModelForCausalLM

    from float8.train.checkpoint.shards import read_shards
    from float8.train.processes.ranks import Ranks

    trained = folder / "two" / "checkpoints" / "fp8"
    model = AutoModelForCausalLM.from_pretrained(trained / "consolidated")
    assert model.dtype == torch.bfloat16
    assert type(model).__name__ == "LlamaForCausalLM"
    saved = {name: torch.zeros_like(tensor) for name, tensor in model.state_dict().items()}
    read_shards(trained / "step_6" / "model", saved, Ranks().background)
    assert all(torch.equal(tensor, saved[name]) for name, tensor in model.state_dict().items())


def again_from(folder: Path, source: str, name: str, step: int) -> Path:
    """A copy of a run as it was after `step` of the FP8 run, under another name."""
    copy = folder / name
    shutil.copytree(folder / source, copy)
    for path in list_checkpoints(copy / "checkpoints" / "fp8"):
        if path.name != f"step_{step}":
            shutil.rmtree(path)
    return copy


def test_resuming_on_the_same_layout_gives_the_same_bits(two, config, folder):
    copy = again_from(folder, "two", "again", 2)
    done = run("train", config, *WORDS, "--output_dir", copy, "--resume", processes=2)
    assert done.status == 0, done.err
    assert "fp8: going on after step 2" in done.out
    assert losses(copy, "fp8") == losses(folder / "two", "fp8")


@pytest.mark.parametrize("processes", [1, 3])
def test_resuming_on_another_number_of_processes(two, config, folder, processes):
    copy = again_from(folder, "two", f"on_{processes}", 4)
    done = run("train", config, *WORDS, "--output_dir", copy, "--resume",
               "--checkpoint.model_save_format", "torch_save", processes=processes)  # fmt: skip
    assert done.status == 0, done.err
    assert f"is of 2 processes, this run of {processes}" in done.out
    ours, expected = losses(copy, "fp8"), losses(folder / "two", "fp8")
    assert ours[:4] == expected[:4]
    assert ours[4:] == pytest.approx(expected[4:], rel=CLOSE)
    assert (copy / "checkpoints" / "fp8" / "step_6" / "model" / "index.json").exists()


def test_torchrun_hsdp_compile_and_float32_weights_of_a_folder(two, config, folder):
    """Two replicas of two shards under torch's own launcher, all else than the defaults."""
    weights = folder / "two" / "checkpoints" / "bf16" / "consolidated"
    words = ["train", config, *WORDS, "--model", f"{{_target_: "
             f"transformers.AutoModelForCausalLM.from_pretrained, torch_dtype: float32, "
             f"pretrained_model_name_or_path: {weights}}}", "--bf16_baseline", "false",
             "--dataset.tokenizer", "bytes",
             "--compile.enabled", "true", "--compile.backend", "aot_eager",
             "--step_scheduler.max_steps", 3, "--fp8.enable_fsdp_float8_all_gather", "false",
             "--fp8.precompute_float8_dynamic_scale_for_fsdp", "false",
             "--step_scheduler.local_batch_size", 1]  # fmt: skip
    assert main([str(word) for word in (*words, "--output_dir", folder / "alone")]) == 0
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "4",
         "-m", "float8.cli", *map(str, words), "--distributed.dp_replicate_size", "2",
         "--output_dir", str(folder / "hsdp")],
        capture_output=True, text=True, timeout=240, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # FSDP2 gathers all weights in BF16; autocast keeps the norms' in float32.
    ours, expected = losses(folder / "hsdp", "fp8"), losses(folder / "alone", "fp8")
    assert ours == pytest.approx(expected, rel=2e-2)
    assert ours[0] < losses(folder / "two", "fp8")[0] - 0.5, "the folder's weights were not used"


FAILS_ON_RANK_1 = """
from float8.train import loop
take = loop.Run._take_step
def broken(self, batches):
    if self.job.ranks.rank == 1 and self.step == 2:
        {what}
    return take(self, batches)
loop.Run._take_step = broken
"""


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("raise ValueError('the reason')", "error on rank 1: unexpected ValueError: the reason"),
        ("import os; os.kill(os.getpid(), 9)", "error on rank 1: ended by SIGKILL"),
        # Its disk is full: each rank has this error, so that none waits for another.
        (
            "import os; from float8.train.checkpoint import saver; saver._write_file = "
            "lambda _, data: os.write(os.open('/dev/full', os.O_WRONLY), data)",
            "No space left on device",
        ),
    ],
)
def test_a_rank_that_fails_stops_the_others_and_its_error_is_shown_once(config, folder, what, said):
    started = time.monotonic()
    done = run("train", config, *WORDS, "--output_dir", folder / "fails", processes=2,
               before=FAILS_ON_RANK_1.format(what=what))  # fmt: skip
    assert time.monotonic() - started < 60 + 60  # a minute, after a start that has taken as long
    assert done.status == 1
    assert said in done.err
    assert done.err.count("\n") == 1
    # The checkpoint that was being written when it failed is whole, or not there.
    for path in list_checkpoints(folder / "fails" / "checkpoints" / "bf16"):
        assert (path / "rank_1.safetensors").exists()


COUNTS_MODELS = """
import gc
from float8.train import command
gc.disable()  # else it may happen by chance
train = command._train_one
def alone(job, config, name, resume):
    left = [each for each in gc.get_objects() if type(each).__name__ == "FSDPLlamaForCausalLM"]
    if left:
        raise ValueError(f"{len(left)} models beside {name}")
    train(job, config, name, resume)
command._train_one = alone
"""


def test_the_first_model_is_gone_when_the_second_is_made(config, folder):
    done = run("train", config, *WORDS, "--output_dir", folder / "one_by_one", processes=2,
               before=COUNTS_MODELS)  # fmt: skip
    assert (done.status, done.err) == (0, "")


def wait_for_a_step(output, process):
    metrics = output / "fp8" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not metrics.exists() or not metrics.read_text():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no first step within two minutes"
        time.sleep(0.01)


def test_ctrl_c_stops_all_ranks_after_a_step_and_resume_goes_on(two, config, folder):
    output = folder / "interrupted"
    words = ("train", config, *WORDS, "--output_dir", output, "--step_scheduler.max_steps", 200,
             "--bf16_baseline", "false")  # fmt: skip
    process = start(*words, processes=2)
    wait_for_a_step(output, process)
    process.send_signal(signal.SIGINT)
    done = finish(process)
    assert done.status == 130, done.err
    assert "the same command with --resume" in done.err
    taken = losses(output, "fp8")
    assert len(taken) < 200
    assert [path.name for path in list_checkpoints(output / "checkpoints" / "fp8")][-1:] == [
        f"step_{len(taken)}"
    ]
    assert taken[:2] == losses(folder / "two", "fp8")[:2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--step_scheduler.global_batch_size", 6), "times the number of processes (2)"),
        (("--distributed.dp_size", 3), "the number of processes (2)"),
        (("--distributed.dp_replicate_size", 3), "a divisor of the number of processes (2)"),
        (("--dist_env.backend", "nccl"), "gloo (or null) where there is no GPU"),
        (("--optimizer.lr", "fast"), "a number"),
    ],
)
def test_a_layout_that_cannot_be_is_found_before_processes_are_started(cli, config, words, said):
    if "nccl" in words and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    result = cli("train", config, *words, "--nproc-per-node", 2)
    assert result.status == 2
    assert said in result.err
    assert result.err.count("\n") == 1


def test_more_processes_than_rows(config):
    settings = load_settings(str(config))
    check_rows(settings, 9, 4)
    with pytest.raises(float8.ConfigError, match="for each of 5 processes"):
        check_rows(settings, 9, 5)


@pytest.mark.parametrize("value", ["0", "-1", "two"])
def test_a_number_of_processes_that_is_none(cli, config, value):
    result = cli("train", config, f"--nproc-per-node={value}")
    assert result.status == 2
    assert "a number of processes" in result.err


def test_workers_stop_when_the_one_that_started_them_is_killed(config, folder):
    output = folder / "orphans"
    words = ("train", config, *WORDS, "--output_dir", output, "--step_scheduler.max_steps", 5000,
             "--bf16_baseline", "false", "--checkpoint.enabled", "false")  # fmt: skip
    process = start(*words, processes=2)
    wait_for_a_step(output, process)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 60
    while True:  # the folder's lock is the sign: rank 0 holds it as long as it lives
        with (output.parent / f".{output.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                assert time.monotonic() < deadline, "a worker went on for a minute"
        time.sleep(0.05)
    assert len(losses(output, "fp8")) < 5000
