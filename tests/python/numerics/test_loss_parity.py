"""benchmarks/loss_parity.py in small: 30 steps on the documentation that ships with Python."""

from __future__ import annotations

import json
import sys

import pytest

SMALL = [
    ("step_scheduler.max_steps", "30"),
    ("packed_sequence.packed_sequence_size", "64"),
    ("model.config.hidden_size", "64"),
    ("model.config.intermediate_size", "128"),
    ("model.config.num_hidden_layers", "2"),
    ("lr_scheduler.lr_warmup_steps", "5"),
    ("optimizer.lr", "3e-3"),
    ("dataset.split", "train"),
    ("validation_dataset.split", "validation"),
    ("validation_dataset.num_samples_limit", "2"),
]


@pytest.fixture
def loss_parity(benchmark_script):
    return benchmark_script("loss_parity")


def test_every_recipe_reaches_bf16s_loss(loss_parity, tmp_path):
    seeds = (42, 43, 44)
    curves = dict(loss_parity.compare(loss_parity.RECIPES, seeds, SMALL))
    bf16 = curves["bf16"]
    assert all(c.losses[-1] < c.losses[0] - 1 for c in bf16)  # it learns at all
    for recipe in loss_parity.RECIPES:
        own = curves[recipe]
        assert own[0].losses != bf16[0].losses  # FP8 is in it
        for losses in (lambda c: c.final(10), lambda c: c.validation):
            verdict = loss_parity.judge(list(map(losses, bf16)), list(map(losses, own)))
            assert verdict.holds, (recipe, verdict)
    loss_parity.draw(curves, 10, tmp_path / "loss.png")
    assert (tmp_path / "loss.png").stat().st_size > 10_000


def test_a_difference_beyond_the_spread_fails(loss_parity):
    assert loss_parity.judge([2.0, 2.1], [2.09, 2.0]).holds
    assert not loss_parity.judge([2.0, 2.1], [2.11, 2.1]).holds


def test_rows_become_texts_and_a_missing_folder_is_said(loss_parity, tmp_path, monkeypatch, capsys):
    row = {"ctx": "A man sits.", "endings": ["He", "She stands.", "It", "They"], "label": "1"}
    (tmp_path / "train.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "out").mkdir()
    written = loss_parity.hellaswag(tmp_path, "train", tmp_path / "out").read_text()
    assert json.loads(written) == {"text": "A man sits. She stands."}
    monkeypatch.setattr(sys, "argv", ["loss_parity", "--data", str(tmp_path / "nothing")])
    assert loss_parity.main() == 0
    assert "skipped, no train.jsonl" in capsys.readouterr().out
