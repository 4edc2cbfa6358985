"""Reads what a run has written."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file


def losses(folder: Path, run: str) -> list[float]:
    """The losses of all steps of a run, in order."""
    rows = [json.loads(line) for line in (folder / run / "metrics.jsonl").open()]
    return [row["loss"] for row in rows if "loss" in row]


def saved_weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The weights in a checkpoint that one process wrote."""
    (file,) = (checkpoint / "model").glob("*.safetensors")
    return load_file(file)
