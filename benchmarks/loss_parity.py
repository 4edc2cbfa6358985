"""Does FP8 training reach BF16's loss? BF16 with several seeds, each recipe with the same seeds.

    python benchmarks/loss_parity.py --data FOLDER    # or FLOAT8_HELLASWAG=FOLDER

FOLDER holds HellaSwag's rows as train.jsonl and validation.jsonl (fields ctx, endings, label). A
seed draws the weights and the order of the text, so that a recipe and BF16 with one seed differ in
their arithmetic alone. FP8's loss less BF16's, seed by seed, must stay within the spread of BF16's
own seeds, for the training loss (mean of the last 50 steps) and the loss on the validation rows.
On the CPU it emulates FP8; 12 runs of 300 steps take about 10 minutes on two cores. A recipe's line
is written when its runs are done.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from harness import RESULTS, Results

import float8
from float8.train.config.settings import load_settings
from float8.train.console import StepView, View
from float8.train.data.loader import load_rows
from float8.train.device import choose_device
from float8.train.interrupt import StopRequest
from float8.train.job import Job
from float8.train.loop import Run
from float8.train.metrics import read_metrics
from float8.train.model import build_model, read_model_config
from float8.train.picture import smooth

CONFIG = Path(__file__).with_name("loss_parity.yaml")
RECIPES = ("tensorwise", "rowwise", "rowwise_with_gw_hp")
VALIDATION_DOCUMENTS = 200
SMOKE = [
    ("packed_sequence.packed_sequence_size", "32"),
    ("model.config.hidden_size", "32"),
    ("model.config.intermediate_size", "64"),
    ("model.config.num_hidden_layers", "1"),
    ("validation_dataset.num_samples_limit", "1"),
]
LAST = 50  # steps that the final loss is the mean of


@dataclass(frozen=True)
class Curve:
    """One run: the loss of each step, that of the validation text, the seconds of all steps."""

    losses: list[float]
    validation: float
    seconds: float

    def final(self, last: int) -> float:
        """The mean loss of the last steps."""
        return statistics.fmean(self.losses[-last:])


class Silent(View, StepView):
    """Takes the place of the training command's output."""

    def line(self, text: str = "") -> None:
        """Prints nothing."""

    def show(self, step: int, values: Mapping[str, float]) -> None:
        """Shows nothing."""

    @contextmanager
    def progress(self, run: str, done: int, total: int) -> Iterator[StepView]:
        """Shows nothing."""
        yield self


def hellaswag(folder: Path, part: str, to: Path) -> Path:
    """Writes each row's text, with its right ending, as the training command reads it."""
    lines = []
    for line in (folder / f"{part}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        lines.append(json.dumps({"text": f"{row['ctx']} {row['endings'][int(row['label'])]}"}))
    path = to / f"{part}.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def has_fp8() -> bool:
    """Whether the GPU that is there multiplies FP8."""
    return torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 9)


def train(recipe: str | None, seed: int, overrides: Sequence[tuple[str, str]]) -> Curve:
    """One run of the training command's loop, without its files and its output.

    Args:
        recipe: None is BF16.
        seed: of the weights and the order of the text.
        overrides: further keys of loss_parity.yaml and their values.
    """
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(
            str(CONFIG),
            [
                ("output_dir", folder),
                ("rng.seed", str(seed)),
                ("fp8.enabled", "false" if recipe is None else "true"),
                ("fp8.recipe_name", recipe or "tensorwise"),
                ("fp8.emulate", "false" if has_fp8() else "true"),
                *overrides,
            ],
        )
        view, rows = Silent(), load_rows(settings, "dataset")
        held_out = load_rows(settings, "validation_dataset")
        device = choose_device(settings, view)
        model: Any = build_model(settings, read_model_config(settings), device)
        if recipe is not None:
            model = float8.convert_to_float8_training(model, config=settings.fp8)
        name = "bf16" if recipe is None else "fp8"
        started = time.perf_counter()
        Run(Job(settings, device, rows, held_out, view, StopRequest()), name, model, False).train()
        seconds = time.perf_counter() - started
        metrics = read_metrics(Path(folder), name)
    return Curve(
        [row["loss"] for row in metrics if "loss" in row],
        [row["validation_loss"] for row in metrics if "validation_loss" in row][-1],
        seconds,
    )


@dataclass(frozen=True)
class Verdict:
    """A recipe against BF16: the differences, seed by seed, and what BF16's seeds differ by."""

    differences: list[float]
    spread: float

    @property
    def holds(self) -> bool:
        """Whether no difference is larger than the spread."""
        return max(map(abs, self.differences)) <= self.spread

    def __str__(self) -> str:
        differences = " ".join(f"{difference:+.4f}" for difference in self.differences)
        return f"{differences}, spread {self.spread:.4f}"


def judge(bf16: Sequence[float], fp8: Sequence[float]) -> Verdict:
    """Compares the losses of the same seeds."""
    return Verdict(
        [a - b for a, b in zip(fp8, bf16, strict=True)],
        max(bf16) - min(bf16),
    )


def draw(curves: dict[str, list[Curve]], last: int, path: Path) -> None:
    """The curves, and below each recipe's difference to BF16 with the spread of BF16's seeds."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (upper, lower) = plt.subplots(2, 1, figsize=(8, 7), sharex=True)

    def smoothed(curve: Curve) -> list[float]:
        return smooth(curve.losses, min(last, max(1, len(curve.losses) // 6)))

    bf16 = [smoothed(curve) for curve in curves["bf16"]]
    steps = range(1, len(bf16[0]) + 1)
    spread = [max(values) - min(values) for values in zip(*bf16, strict=True)]
    lower.fill_between(
        steps, [-s for s in spread], spread, color="0.9", label="spread of BF16's seeds"
    )
    for colour, (name, own) in enumerate(curves.items()):
        for i, curve in enumerate(map(smoothed, own)):
            label = name if i == 0 else None
            upper.plot(steps, curve, color=f"C{colour}", linewidth=0.8, label=label)
            if name != "bf16":
                difference = [a - b for a, b in zip(curve, bf16[i], strict=True)]
                lower.plot(steps, difference, color=f"C{colour}", linewidth=0.8, label=label)
    upper.set_ylabel("loss, nats per byte (running mean)")
    lower.set_ylabel("FP8 minus BF16, same seed")
    lower.set_xlabel("step")
    limit = max(0.01, 1.2 * max(spread[len(spread) // 3 :]))
    lower.set_ylim(-limit, limit)
    upper.legend()
    lower.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def compare(
    recipes: Sequence[str], seeds: Sequence[int], overrides: Sequence[tuple[str, str]]
) -> Iterator[tuple[str, list[Curve]]]:
    """Trains BF16 ("bf16") and then every recipe, each with every seed; yields what is done."""
    for name in ("bf16", *recipes):
        curves = []
        for seed in seeds:
            curves.append(train(None if name == "bf16" else name, seed, overrides))
            print(f"{name} seed {seed}: {curves[-1].seconds:.0f} s", file=sys.stderr)
        yield name, curves


def texts(data: Path | None, folder: Path) -> list[tuple[str, str]]:
    """The keys that choose the text: HellaSwag's rows, or Python's documentation without them."""
    if data is None:
        return [("dataset.split", "train"), ("validation_dataset.split", "validation")]
    return [
        ("dataset.path", str(hellaswag(data, "train", folder))),
        ("validation_dataset.path", str(hellaswag(data, "validation", folder))),
        ("validation_dataset.num_samples_limit", str(VALIDATION_DOCUMENTS)),
    ]


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    data = os.environ.get("FLOAT8_HELLASWAG")
    parser.add_argument("--data", type=Path, default=Path(data) if data else None)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=RECIPES)
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), help="default: a GPU where there is one"
    )
    parser.add_argument("--cpu-gemm", choices=("float32", "tensor_core"), default="float32")
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"))
    parser.add_argument("--smoke", action="store_true", help="tiny, on Python's documentation")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.steps, arguments.seeds, arguments.data = 8, [42, 43], None
        arguments.set += SMOKE
    return arguments


def main() -> int:
    """Trains, draws, writes the results; the exit status is the number of recipes that fail."""
    arguments = parse()
    if not arguments.smoke and not (arguments.data and (arguments.data / "train.jsonl").exists()):
        print(
            f"loss_parity: skipped, no train.jsonl in {arguments.data}; give its folder by --data"
        )
        return 0
    if arguments.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the training command takes a GPU that it sees
    elif arguments.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("loss_parity: --device cuda, but torch sees no GPU")
    float8.set_cpu_gemm(arguments.cpu_gemm)
    last = min(LAST, arguments.steps)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    subject = {"steps": arguments.steps, "seeds": arguments.seeds, "smoke": arguments.smoke}
    subject |= {"device": device, "cpu_gemm": arguments.cpu_gemm, "set": arguments.set}
    results, failed = Results("loss_parity"), 0
    curves: dict[str, list[Curve]] = {}
    with tempfile.TemporaryDirectory() as folder:
        overrides = [
            *texts(arguments.data, Path(folder)),
            ("step_scheduler.max_steps", str(arguments.steps)),
            *(tuple(pair) for pair in arguments.set),
        ]
        for name, own in compare(arguments.recipes, arguments.seeds, overrides):
            curves[name] = own
            if name == "bf16":
                continue
            final = {n: [c.final(last) for c in curves[n]] for n in ("bf16", name)}
            held_out = {n: [c.validation for c in curves[n]] for n in ("bf16", name)}
            training = judge(final["bf16"], final[name])
            validation = judge(held_out["bf16"], held_out[name])
            holds = training.holds and validation.holds
            failed += not holds
            results.add(
                f"loss parity {name:18} | training {training} | validation {validation} | "
                f"{'holds' if holds else 'FAILS'}",
                {"recipe": name, **subject},
                final={"bf16": final["bf16"], "fp8": final[name]},
                validation={"bf16": held_out["bf16"], "fp8": held_out[name]},
                seconds={n: [c.seconds for c in curves[n]] for n in ("bf16", name)},
                holds=holds,
            )
    picture = RESULTS / "loss_parity.png"
    draw(curves, last, picture)
    print(f"picture {picture}")
    return 0 if arguments.smoke else failed


if __name__ == "__main__":
    sys.exit(main())
