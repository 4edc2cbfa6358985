"""A tiny Llama and text for it, and the documented lines that other trainers need."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from transformers import LlamaConfig, LlamaForCausalLM

import float8

README = Path(float8.__file__).parent / "README.md"


@pytest.fixture
def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=32,
    )
    return LlamaForCausalLM(config).bfloat16()


@pytest.fixture
def dataset() -> list[dict[str, torch.Tensor]]:
    """Sixteen rows that count upwards, each from a start of its own."""
    rows = [(torch.arange(16) + 3 * i) % 64 for i in range(16)]
    return [{"input_ids": row, "labels": row} for row in rows]


@pytest.fixture(autouse=True)
def without_state_of_others(monkeypatch) -> None:
    """transformers' Trainer leaves its choices to accelerate in the process and environment."""
    AcceleratorState._reset_state(reset_partial_state=True)
    for name in [name for name in os.environ if name.startswith("ACCELERATE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def run_example(model, dataset, tmp_path) -> Callable[..., dict[str, Any]]:
    """Runs the README's example under a heading; returns its names."""

    def run(heading: str, **given: Any) -> dict[str, Any]:
        section = re.search(rf"^### {heading}\n(.*?)(?=^##|\Z)", README.read_text(), re.M | re.S)
        assert section, f"no section {heading}"
        [code] = re.findall(r"^```python\n(.*?)^```$", section[1], re.M | re.S)
        names = {
            "torch": torch,
            "float8": float8,
            "model": model,
            "dataset": dataset,
            "config": float8.Float8LinearConfig(emulate=True),
            "folder": str(tmp_path),
            **given,
        }
        exec(compile(code, str(README), "exec"), names)
        return names

    return run
