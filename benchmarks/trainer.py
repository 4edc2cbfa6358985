"""What `float8 train` adds to a start beyond imports and to a step; what two processes change.

Run by name: `python -m benchmarks trainer`, or `python benchmarks/trainer.py --only step`. Goals:
the quickstart's first step within 15 s beyond imports; a step at most 1% longer than a bare loop's.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from harness import MALLOC, ROOT, Results, Spread, alternate, keep_freed_memory

CONFIG = ROOT / "configs" / "quickstart.yaml"
IMPORTS = (
    "import torch, transformers, torchdata.stateful_dataloader, torch.utils.tensorboard;"
    "import transformers.models.llama.modeling_llama, torch.distributed.checkpoint,"
    "torch.distributed.fsdp"
)
USUAL = {name: value for name, value in os.environ.items() if name not in MALLOC}
GOALS = {"start_beyond_imports_seconds": 15.0, "step_over_bare": 1.01}


def command(output: Path, *words: object) -> list[str]:
    """`float8 train` of the quickstart."""
    first = [sys.executable, "-m", "float8.cli", "train", CONFIG, "--output_dir", output]
    return [str(word) for word in (*first, *words)]


def start() -> float:
    """Seconds from typing the command to the first step's row in the metrics."""
    with tempfile.TemporaryDirectory() as folder:
        metrics = Path(folder) / "run" / "bf16" / "metrics.jsonl"
        began = time.perf_counter()
        process = subprocess.Popen(
            command(metrics.parents[1]), stdout=subprocess.DEVNULL, env=USUAL
        )
        while not (metrics.exists() and metrics.read_text()):
            if process.poll() is not None:
                raise SystemExit("float8 train ended before its first step")
            time.sleep(0.005)
        seconds = time.perf_counter() - began
        process.kill()
        process.wait()
    return seconds


def measure_start(results: Results, rounds: int) -> None:
    """Against a process that only imports what the command imports."""
    imports = [sys.executable, "-c", IMPORTS]
    times = alternate(
        {
            "start": start,
            "imports": lambda: subprocess.run(imports, check=True, env=USUAL) and None,
        },
        rounds,
    )
    pairs = zip(times._seconds["start"], times._seconds["imports"], strict=True)
    beyond = Spread.of([whole - part for whole, part in pairs])
    results.add(
        f"float8 train, start to first step | {times['start'].median:5.1f} s | beyond imports "
        f"{beyond.median:5.1f} s",
        {"what": "start", "config": "configs/quickstart.yaml"},
        seconds=times.as_dict(),
        beyond_imports=beyond.as_dict(),
        goals=GOALS,
    )


def prepared(folder: Path) -> tuple[Any, Callable[[], None], Callable[[], None]]:
    """The quickstart's BF16 run, one step of it, and one step of a bare loop with its model."""
    from float8.train.config.settings import load_settings
    from float8.train.console import View
    from float8.train.data.loader import load_rows
    from float8.train.interrupt import StopRequest
    from float8.train.job import Job
    from float8.train.loop import Run
    from float8.train.metrics import MetricsLog
    from float8.train.model import build_model, read_model_config

    settings = load_settings(str(CONFIG), [("output_dir", str(folder / "run"))])
    rows, device = load_rows(settings, "dataset"), torch.device("cpu")
    job = Job(settings, device, rows, None, View(), StopRequest())

    model = build_model(settings, read_model_config(settings), device)
    run = Run(job, "bf16", model, resume=False)
    batches, log = iter(run.loader), MetricsLog(job, "bf16", 0)
    view = job.view.progress("bf16", 0, job.total_steps)
    shown = view.__enter__()

    ready = itertools.cycle(list(itertools.islice(run.loader, 30)))
    optimizer = run.optimizer  # of the same model: a twin's step differs by up to 1%

    def loss_of(batch: Any) -> torch.Tensor:
        logits = model(
            input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False
        ).logits
        return torch.nn.functional.cross_entropy(
            logits.float().flatten(0, 1), batch["labels"].flatten()
        )

    def ours() -> None:
        run.advance(batches, log, shown)

    def bare() -> None:
        loss = loss_of(next(ready))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()

    return run, ours, bare


def measure_step(results: Results, rounds: int) -> None:
    """One step of the trainer and one of a bare loop, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        _, ours, bare = prepared(Path(folder))
        times = alternate({"ours": ours, "bare": bare}, rounds, warmup=3)
    ratio = times.ratio("ours", "bare")
    results.add(
        f"a step of float8 train | {times['ours'].median * 1e3:6.1f} ms | "
        f"{ratio.median:5.3f} of a bare loop's",
        {"what": "step", "config": "configs/quickstart.yaml", "run": "bf16", "malloc": MALLOC},
        seconds=times.as_dict(),
        of_bare=ratio.as_dict(),
        goals=GOALS,
    )


def losses(path: Path) -> list[float]:
    """The loss of each step."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def measure_processes(results: Results, steps: int) -> None:
    """The same run in one process and in two, by loss."""
    words = ("--step_scheduler.max_steps", steps, "--step_scheduler.local_batch_size", 2)
    with tempfile.TemporaryDirectory() as folder:
        found: dict[int, dict[str, list[float]]] = {}
        for processes in (1, 2):
            output = Path(folder) / str(processes)
            more = ("--nproc-per-node", processes) if processes > 1 else ()
            subprocess.run(
                command(output, *words, *more), check=True, stdout=subprocess.DEVNULL, env=USUAL
            )
            found[processes] = {
                name: losses(output / name / "metrics.jsonl") for name in ("bf16", "fp8")
            }
    for name in ("bf16", "fp8"):
        one, two = found[1][name], found[2][name]
        apart = [b - a for a, b in zip(one, two, strict=True)]
        last = sum(apart[-10:]) / len(apart[-10:])
        results.add(
            f"{name} in 2 processes | {steps} steps | last 10 steps {last:+.4f} | largest "
            f"{max(apart, key=abs):+.4f}",
            {"what": "processes", "run": name, "steps": steps},
            one=one,
            two=two,
            final_difference=last,
            largest_difference=max(apart, key=abs),
        )


def main() -> None:
    """Measures all three, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=["start", "step", "processes"])
    parser.add_argument("--rounds", type=int, default=40, help="of steps; starts take a tenth")
    parser.add_argument("--steps", type=int, default=100, help="of the run in two processes")
    arguments = parser.parse_args()
    keep_freed_memory()
    results = Results("trainer")
    if "start" in arguments.only:
        measure_start(results, max(3, arguments.rounds // 10))
    if "step" in arguments.only:
        measure_step(results, arguments.rounds)
    if "processes" in arguments.only:
        measure_processes(results, arguments.steps)


if __name__ == "__main__":
    main()
