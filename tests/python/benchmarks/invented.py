"""Result files with made-up figures, which stay in a temporary folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
BENCHMARKS = ROOT / "benchmarks"
GPU = {
    "device": "NVIDIA H200",
    "capability": "9.0",
    "driver": "580.0",
    "cuda": "13.0",
    "cublaslt": "13.0.0",
    "torch": "2.11.0",
    "commit": "0123456789ab",
    "load": 1.0,
    "threads": 16,
}


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The records of a file, all of which must be whole."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def invented(
    benchmark: str, subject: dict[str, Any], date: str = "2030-01-01T00:00:00+00:00", **figures: Any
) -> dict[str, Any]:
    """A record as a GPU would write it. Its figures are made up, and stay in a temporary folder."""
    environment = {**GPU, **figures.pop("environment", {})}
    head = {"schema": 1, "benchmark": benchmark, "date": date, "subject": subject}
    return {**head, **figures, "environment": environment}


def write(path: Path, *records: dict[str, Any]) -> Path:
    """One line for each record."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path
