"""The quickstart as a newcomer runs it: both losses, their difference, tokens/s, whole seconds.

Not among the default benchmarks, for it takes about two minutes a seed:
`python -m benchmarks quickstart`, or `python benchmarks/quickstart.py --seeds 42 43 44`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import RESULTS, ROOT, Results

CONFIG = ROOT / "configs" / "quickstart.yaml"
LAST = 10  # steps that the final loss is the mean of, as in the command's own table


def figures(path: Path) -> dict[str, float]:
    """What one run's metrics say."""
    rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    steps = [row for row in rows if "loss" in row]
    return {
        "steps": len(steps),
        "first_loss": steps[0]["loss"],
        "final_loss": statistics.fmean(row["loss"] for row in steps[-LAST:]),
        "validation_loss": [r["validation_loss"] for r in rows if "validation_loss" in r][-1],
        "tokens_per_second": statistics.median(row["tokens_per_second"] for row in steps),
    }


def main() -> None:
    """Trains once for each seed; the first seed's picture goes beside the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42])
    arguments = parser.parse_args()
    results = Results("quickstart")
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "run"
            command = [sys.executable, "-m", "float8.cli", "train", str(CONFIG)]
            options = ["--rng.seed", str(seed), "--output_dir", str(output)]
            started = time.perf_counter()
            subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
            seconds = time.perf_counter() - started
            bf16, fp8 = (figures(output / name / "metrics.jsonl") for name in ("bf16", "fp8"))
            if seed == arguments.seeds[0]:
                RESULTS.mkdir(parents=True, exist_ok=True)
                shutil.copy(output / "loss.png", RESULTS / "quickstart.png")
        difference = fp8["final_loss"] - bf16["final_loss"]
        results.add(
            f"quickstart seed {seed} | {seconds:4.0f} s | bf16 {bf16['final_loss']:.3f} | "
            f"fp8 {fp8['final_loss']:.3f} | {difference:+.3f}",
            {"config": "configs/quickstart.yaml", "seed": seed},
            seconds=round(seconds, 1),
            bf16=bf16,
            fp8=fp8,
        )


if __name__ == "__main__":
    main()
