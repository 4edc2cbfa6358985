"""The guide's figure from small runs: BF16 and the three recipes, some seeds each.

`float8 train` on the quickstart's model and text, then `float8 compare`. Run by name:
`python -m benchmarks recipes` (ten minutes), or `python benchmarks/recipes.py --seeds 42`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import RESULTS, ROOT, Results

CONFIG = ROOT / "configs" / "quickstart.yaml"
RECIPES = ("tensorwise", "rowwise", "rowwise_with_gw_hp")
LAST = 50  # steps that a final loss is the mean of, as in float8 compare


def float8(*words: object) -> None:
    """Runs the command."""
    subprocess.run([sys.executable, "-m", "float8.cli", *map(str, words)], check=True)


def train(folder: Path, recipe: str, seed: int, *words: object) -> Path:
    """One run of the command: BF16 goes along with the first recipe."""
    output = folder / f"{recipe}-{seed}"
    fixed = ("--fp8.recipe_name", recipe, "--rng.seed", seed, "--output_dir", output)
    baseline = () if recipe == RECIPES[0] else ("--bf16_baseline", "false")
    float8("train", CONFIG, "--checkpoint.enabled", "false", *fixed, *baseline, *words)
    return output


def main() -> None:
    """Trains all, compares them, and keeps the picture beside the results."""
    from float8.train.compare import judge
    from float8.train.curves import read_runs, up_to_common_step

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    parser.add_argument("--steps", type=int, default=300)
    arguments = parser.parse_args()
    words: dict[str, list[str]] = {"bf16": [], **{recipe: [] for recipe in RECIPES}}
    with tempfile.TemporaryDirectory() as name:
        for seed in arguments.seeds:
            for recipe in RECIPES:
                output = train(
                    Path(name), recipe, seed, "--step_scheduler.max_steps", arguments.steps
                )
                if recipe == RECIPES[0]:
                    words["bf16"].append(f"bf16={output / 'bf16'}")
                words[recipe].append(f"{recipe}={output / 'fp8'}")
        runs = [word for own in words.values() for word in own]
        RESULTS.mkdir(parents=True, exist_ok=True)
        float8("compare", *runs, "--picture", RESULTS / "recipes.png")
        curves = up_to_common_step(read_runs(runs))
    results = Results("recipes")
    finals = {label: [curve.final(LAST) for curve in own] for label, own in curves.items()}
    for label, own in finals.items():
        verdict = judge(finals["bf16"], own)
        results.add(
            f"{label:18} | loss {statistics.fmean(own):.4f} | minus bf16 {verdict.difference:+.4f}",
            {"run": label, "seeds": arguments.seeds, "steps": arguments.steps},
            losses=own,
            minus_bf16=verdict.difference,
            chance=verdict.chance,
            validation=[curve.validation for curve in curves[label]],
        )


if __name__ == "__main__":
    main()
