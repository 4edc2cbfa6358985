"""A configuration so small that a whole run takes a second, and a way to run the command."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from float8.cli import main

CONFIG = """\
    output_dir: {folder}/run
    bf16_baseline: true
    step_scheduler:
      global_batch_size: 4
      local_batch_size: 2
      max_steps: 6
      ckpt_every_steps: 100
    rng:
      seed: 7
    model:
      config:
        model_type: llama
        vocab_size: 272
        hidden_size: 32
        intermediate_size: 48
        num_hidden_layers: 1
        num_attention_heads: 2
        num_key_value_heads: 2
        max_position_embeddings: 32
    dataset:
      path: {folder}/text.jsonl
    packed_sequence:
      packed_sequence_size: 32
    optimizer:
      _target_: torch.optim.AdamW
      lr: 1e-3
    fp8:
      enabled: true
      filter_fqns: ["lm_head"]
      emulate: true
"""


@dataclass
class Result:
    """What one call of the command left behind."""

    status: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packs go into the test's folder and not into the user's."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("FLOAT8_CACHE_DIR", str(folder))
    return folder


def write_config(folder: Path, text: str) -> Path:
    """Writes a configuration, and a text that makes 9 rows of 32 tokens."""
    lines = [json.dumps({"text": f"document {i}: " + "words and " * i}) for i in range(7)]
    (folder / "text.jsonl").write_text("\n".join(lines) + "\n")
    path = folder / "tiny.yaml"
    path.write_text(textwrap.dedent(text).format(folder=folder))
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A tiny configuration: some 2 steps of 4 rows per epoch."""
    return write_config(tmp_path, CONFIG)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder that this configuration writes to."""
    return tmp_path / "run"


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Calls `float8 ...` in this process and returns its status and what it printed."""

    def call(*words: object) -> Result:
        capfd.readouterr()
        status = main([str(word) for word in words])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return Result(status, out, err)

    return call
