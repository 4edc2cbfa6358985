"""A loss that is not finite and memory that runs out: what is said, and what is kept."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from run_files import losses, saved_weights

from float8.train import failures, loop, step
from float8.train.words import size_words

NAN = float("nan")
WORDS = ("--bf16_baseline", "false")


def before_step(monkeypatch, number, act):
    """Calls `act(run)` before the step of this number."""
    take = loop.Run._take_step

    def taking(self, batches):
        if self.step + 1 == number:
            act(self)
        return take(self, batches)

    monkeypatch.setattr(loop.Run, "_take_step", taking)


def test_a_weight_that_is_not_finite_is_named(cli, config, tmp_path, monkeypatch):
    def spoil(run):
        with torch.no_grad():
            run.model.model.layers[0].mlp.up_proj.weight[3, 4] = NAN

    before_step(monkeypatch, 3, spoil)
    result = cli("train", config, *WORDS)
    assert result.status == 1
    assert "step 3 of the fp8 run: loss nan" in result.err
    assert "weights that are not finite: model.layers.0.mlp.up_proj.weight;" in result.err
    assert "first output that is not finite is that of model.layers.0.mlp.up_proj;" in result.err
    assert "gradients that are not finite" in result.err
    assert "--on-nan continue" in result.err
    assert result.err.count("\n") == 1
    assert len(losses(tmp_path / "run", "fp8")) == 2


def test_a_gradient_that_is_not_finite_is_named(cli, config, monkeypatch):
    def spoil(run):
        gate = run.model.model.layers[0].mlp.gate_proj
        gate.weight.register_hook(lambda gradient: gradient * NAN)

    before_step(monkeypatch, 2, spoil)
    result = cli("train", config, *WORDS, "--clip_grad_norm.max_norm", 1)
    assert "gradient norm nan" in result.err
    assert "gradients that are not finite: model.layers.0.mlp.gate_proj.weight; try" in result.err
    assert "first output" not in result.err


def test_on_nan_continue_leaves_the_step_out(cli, config, tmp_path, monkeypatch):
    computed = step.Computation.loss_sum
    calls = []

    def sometimes(self, batch):
        calls.append(1)
        # Two microbatches a step: the fourth of them is in the second step.
        return computed(self, batch) * (NAN if len(calls) == 4 else 1.0)

    monkeypatch.setattr(step.Computation, "loss_sum", sometimes)
    result = cli("train", config, *WORDS, "--on-nan", "continue")
    assert result.status == 0, result.err
    assert "left out step 2 of the fp8 run: loss nan" in result.out
    assert "fp8: steps left out, since something was not finite: 1\n" in result.out
    run = tmp_path / "run"
    rows = [json.loads(line) for line in (run / "fp8" / "metrics.jsonl").open()]
    assert [row["step"] for row in rows if "loss" in row] == [1, 3, 4, 5, 6]
    assert [row["step"] for row in rows if row.get("skipped")] == [2]
    trained = saved_weights(run / "checkpoints" / "fp8" / "step_6")
    assert all(tensor.isfinite().all() for tensor in trained.values())


def test_on_nan_takes_two_words(cli, config):
    result = cli("train", config, "--on-nan", "ignore")
    assert result.status == 2
    assert "--on-nan takes stop or continue" in result.err


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:116] DefaultCPUAllocator: can't allocate memory"
        ),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
    ],
)
def test_out_of_memory_says_what_has_it_and_what_lowers_it(cli, config, monkeypatch, error):
    def full(self, batch, inspected):
        raise error

    monkeypatch.setattr(step.Computation, "gradients", full)
    result = cli("train", config, *WORDS, "--model.torch_dtype", "float32")
    assert result.status == 1
    assert "out of memory (weights " in result.err
    for key in ("step_scheduler.local_batch_size", "packed_sequence.packed_sequence_size",
                "model.torch_dtype bfloat16", "--nproc-per-node"):  # fmt: skip
        assert key in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("recompute", ["true", "false"])
def test_what_has_the_memory_is_counted(cli, config, monkeypatch, recompute):
    """The embedding and the head, attention, the MLP, three norms: in BF16, and twice for AdamW,
    which counts its steps in float32.
    """
    computed, calls = step.Computation.gradients, []

    def full_in_the_second_step(self, batch, inspected):
        computed(self, batch, inspected)
        calls.append(1)
        if len(calls) == 2:
            raise MemoryError
        return computed(self, batch, inspected)

    monkeypatch.setattr(step.Computation, "gradients", full_in_the_second_step)
    key = "fp8.force_recompute_fp8_weight_in_bwd"
    result = cli("train", config, *WORDS, f"--{key}", recompute)
    weights = 2 * (2 * 272 * 32 + 4 * 32 * 32 + 3 * 32 * 48 + 3 * 32)
    sizes = [size_words(size) for size in (weights, weights, 2 * weights + 12 * 4)]
    said = "weights {}, gradients {}, optimizer {} in this process".format(*sizes)
    assert f"out of memory ({said})" in result.err
    assert (key in result.err) == (recompute == "false")


def test_nothing_is_left_of_looking(cli, config, monkeypatch):
    """A loss that is not finite is looked into by hooks."""
    computed, models = step.Computation.loss_sum, []

    def infinite(self, batch):
        models.append(self.model)
        return computed(self, batch) * NAN

    monkeypatch.setattr(step.Computation, "loss_sum", infinite)
    assert cli("train", config, *WORDS, "--on-nan", "continue").status == 0
    assert not any(module._forward_hooks for module in models[-1].modules())


def test_every_ranks_findings_are_named_once():
    ranks = SimpleNamespace(gather=lambda names: [names, ["q", "v"]])
    assert failures._everywhere(["k", "q"], ranks) == ["k", "q", "v"]


def test_an_error_does_not_cost_the_checkpoint_that_is_being_written(
    cli, config, tmp_path, monkeypatch
):
    import time

    from float8.train.checkpoint import saver as checkpoint

    write = checkpoint.write_shards

    def slowly(*arguments):
        time.sleep(1)
        write(*arguments)

    def fail(run):
        raise ValueError("something else")

    monkeypatch.setattr(checkpoint, "write_shards", slowly)
    before_step(monkeypatch, 3, fail)
    result = cli("train", config, *WORDS, "--step_scheduler.ckpt_every_steps", 2)
    assert result.status == 1
    assert "something else" in result.err
    assert (tmp_path / "run" / "checkpoints" / "fp8" / "step_2" / "trainer.json").exists()


def test_a_save_that_fails_stops_the_run_soon(cli, config, tmp_path, monkeypatch):
    import errno

    from float8.train.checkpoint import saver as checkpoint

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "a file")

    monkeypatch.setattr(checkpoint, "write_shards", full)
    before_step(monkeypatch, 4, lambda run: run.saver.settle(None))
    result = cli("train", config, *WORDS, "--step_scheduler.ckpt_every_steps", 3,
                 "--step_scheduler.max_steps", 1000)  # fmt: skip
    assert result.status == 1
    assert "No space left on device: a file; free some space" in result.err
    assert len(losses(tmp_path / "run", "fp8")) == 4
