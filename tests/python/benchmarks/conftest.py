"""Benchmarks are rehearsed: small, on the CPU, with results in a temporary folder."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from invented import BENCHMARKS, lines_of

sys.path.insert(0, str(BENCHMARKS))  # the benchmarks import each other by their short names

# All in one process: most of their time is importing torch.
REHEARSE = """
import runpy, sys
failed = 0
for name, *options in (
    ["casts"], ["gemms"], ["gemms", "--tuned"], ["layers"], ["step"], ["kernels"],
):
    sys.argv = [name, *options, "--smoke"]
    try:
        runpy.run_module(f"gpu.{name}", run_name="__main__")
    except SystemExit as end:
        failed += bool(end.code)
sys.exit(failed)
"""


@pytest.fixture(scope="session")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the GPU benchmarks write when they are rehearsed."""
    path = tmp_path_factory.mktemp("rehearsal") / "results.jsonl"
    environ = {**os.environ, "FLOAT8_BENCHMARK_RESULTS": str(path)}
    done = subprocess.run(
        [sys.executable, "-c", REHEARSE],
        cwd=BENCHMARKS,
        env=environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return lines_of(path)


@pytest.fixture
def gpuless() -> dict[str, str]:
    """Variables under which torch sees no GPU, on any machine."""
    return {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
