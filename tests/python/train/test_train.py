"""Whole runs: two models side by side, and what they leave behind."""

from __future__ import annotations

import json

import torch
from run_files import losses, saved_weights

from float8.train import loop
from float8.train.checkpoint.saver import list_checkpoints


def test_both_runs_learn_and_everything_is_written(cli, config, run):
    result = cli("train", config, "--step_scheduler.val_every_steps", 4,
                 "--validation_dataset.path", config.parent / "text.jsonl",
                 "--optimizer.lr", "1e-2")  # fmt: skip
    assert result.status == 0, result.err
    for name in ("bf16", "fp8"):
        curve = losses(run, name)
        assert len(curve) == 6
        assert curve[-1] < curve[0]
        rows = [json.loads(line) for line in (run / name / "metrics.jsonl").open()]
        assert [row["step"] for row in rows if "validation_loss" in row] == [4, 6]
        assert all(row["tokens"] == 4 * 32 for row in rows if "loss" in row)
        assert list((run / "tensorboard" / name).glob("events.*"))
        assert [path.name for path in list_checkpoints(run / "checkpoints" / name)] == ["step_6"]
    assert losses(run, "bf16") != losses(run, "fp8")
    assert (run / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert "7 of 8 linear layers converted" in result.out
    assert "difference" in result.out


def test_the_fp8_model_really_computes_in_fp8(cli, config, run, monkeypatch):
    import float8

    seen = {}
    train = loop.Run.train
    monkeypatch.setattr(
        loop.Run,
        "train",
        lambda self: (
            seen.update(
                {
                    self.name: sum(
                        isinstance(module, float8.Float8Linear) for module in self.model.modules()
                    )
                }
            ),
            train(self),
        ),
    )
    assert cli("train", config).status == 0
    assert seen == {"bf16": 0, "fp8": 7}


def test_without_the_baseline_only_fp8_is_trained(cli, config, run):
    result = cli("train", config, "--bf16-baseline", "false", "--fp8.recipe_name", "rowwise")
    assert result.status == 0, result.err
    assert len(losses(run, "fp8")) == 6
    assert not (run / "bf16").exists()


def test_float32_weights_train_with_bf16_products(cli, config, run):
    words = ("train", config, "--model.torch_dtype", "float32", "--optimizer.lr", "1e-2")
    result = cli(*words)
    assert result.status == 0, result.err
    for name in ("bf16", "fp8"):
        assert losses(run, name)[-1] < losses(run, name)[0]
        state = saved_weights(run / "checkpoints" / name / "step_6")
        assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    assert losses(run, "bf16") != losses(run, "fp8")


def test_with_fp8_disabled_only_bf16_is_trained_and_a_line_says_so(cli, config, run):
    result = cli("train", config, "--fp8.enabled", "false")
    assert result.status == 0, result.err
    assert "fp8.enabled is false" in result.out
    assert len(losses(run, "bf16")) == 6
    assert not (run / "fp8").exists()


def test_compiled_blocks_train_the_same_model(cli, config, run):
    words = ("train", config, "--bf16_baseline", "false")
    assert cli(*words).status == 0
    eager = losses(run, "fp8")
    result = cli(*words, "--compile.enabled", "true", "--compile.backend", "aot_eager")
    assert result.status == 0, result.err
    assert "1 blocks compiled" in result.out
    assert losses(run, "fp8") == eager  # aot_eager runs the same operators
