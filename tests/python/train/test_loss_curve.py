"""HellaSwag's real rows through `float8 train`: FP8's loss curve beside BF16's."""

from __future__ import annotations

import json
import os
import statistics
from pathlib import Path

import pytest
from run_files import losses
from tiny_tokenizer import save_tokenizer

from float8.train.metrics import read_metrics

CONFIGS = Path(__file__).parents[3] / "configs"
STEPS = 40


@pytest.fixture
def rows():
    """The folder with train.jsonl and validation.jsonl."""
    folder = os.environ.get("FLOAT8_HELLASWAG")
    if not folder:
        pytest.skip("needs HellaSwag's rows: FLOAT8_HELLASWAG=FOLDER with train.jsonl")
    return Path(folder)


@pytest.fixture
def small(tmp_path, rows):
    """A model of 0.2 million parameters with a tokenizer trained on a part of the rows."""
    from transformers import LlamaConfig, LlamaForCausalLM, set_seed

    texts = []
    with (rows / "train.jsonl").open() as lines:
        for _, line in zip(range(500), lines, strict=False):
            row = json.loads(line)
            texts += [row["ctx"], *row["endings"]]
    save_tokenizer(tmp_path / "model", vocabulary=1024, texts=texts)
    set_seed(1)
    config = LlamaConfig(
        vocab_size=1024, hidden_size=64, intermediate_size=192, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_the_loss_curve_is_bf16s(cli, small, rows, tmp_path):
    keys = {
        "output_dir": tmp_path / "run",
        "bf16_baseline": "true",
        "model.pretrained_model_name_or_path": small,
        "dataset.path_or_dataset": rows,
        "validation_dataset.path_or_dataset": rows,
        "packed_sequence.packed_sequence_size": 256,
        "step_scheduler.max_steps": STEPS,
        "step_scheduler.val_every_steps": STEPS,
        "step_scheduler.global_batch_size": 4,
        "step_scheduler.local_batch_size": 4,
        "optimizer.lr": "3e-3",
        "dist_env.backend": "gloo",
        "compile.enabled": "false",
        "checkpoint.enabled": "false",
        "fp8.emulate": "true",
    }
    words = [str(word) for key, value in keys.items() for word in (f"--{key}", value)]
    result = cli("train", CONFIGS / "qwen2_5_7b_hellaswag_fp8.yaml", *words)
    assert result.status == 0, result.err
    bf16, fp8 = (losses(tmp_path / "run", run) for run in ("bf16", "fp8"))
    assert len(bf16) == len(fp8) == STEPS
    assert fp8 != bf16
    final = statistics.fmean(bf16[-10:])
    assert final < bf16[0] - 0.8, "it learns from real rows"
    # Both runs see the same rows, so that what is left is the casts' noise: at most 0.0034 here.
    assert fp8 == pytest.approx(bf16, abs=0.02)
    assert statistics.fmean(fp8[-10:]) == pytest.approx(final, abs=0.01)
    held_out = [
        row["validation_loss"]
        for run in ("bf16", "fp8")
        for row in read_metrics(tmp_path / "run", run)
        if "validation_loss" in row
    ]
    assert len(held_out) == 2
    assert held_out[1] == pytest.approx(held_out[0], abs=0.01)
    assert held_out[0] < bf16[0] - 0.8
