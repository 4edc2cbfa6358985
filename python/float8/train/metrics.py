"""One run's numbers: JSON lines that anything can read; TensorBoard and W&B beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from float8.train.config.settings import as_plain

if TYPE_CHECKING:
    from float8.train.job import Job

Row = dict[str, Any]


def metrics_path(output_dir: Path, run: str) -> Path:
    """The JSON lines of the run `run` ("bf16" or "fp8")."""
    return output_dir / run / "metrics.jsonl"


def read_metrics(output_dir: Path, run: str) -> list[Row]:
    """All rows of a run, in order; a last line that was cut short is left out."""
    path = metrics_path(output_dir, run)
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def start_wandb(job: Job, run: str) -> Any:
    """A run of Weights & Biases where the section `wandb` asks for one and the package is there.

    Its files stay in the run's folder.
    """
    options = job.settings.wandb
    if options is None:
        return None
    try:
        import wandb  # type: ignore[import-not-found, unused-ignore]
    except ModuleNotFoundError:
        job.view.line("wandb: the package is not installed (pip install wandb); nothing is sent")
        return None
    folder = job.settings.output_dir / (options.save_dir or "")
    folder.mkdir(parents=True, exist_ok=True)
    return wandb.init(
        project=options.project,
        entity=options.entity,
        name=f"{options.name or job.settings.output_dir.name}-{run}",
        mode=options.mode,
        dir=str(folder),
        config=as_plain(job.settings),
        reinit="finish_previous",
    )


def session_start() -> Any:
    """Tells TensorBoard to forget what an earlier process wrote about this step and later ones."""
    from tensorboard.compat.proto.event_pb2 import (  # type: ignore[import-untyped]
        Event,
        SessionLog,
    )

    return Event(session_log=SessionLog(status=SessionLog.START))


def summary_of(values: Row) -> Any:
    """One record for a step: SummaryWriter.add_scalar would queue one for each value."""
    from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]

    return Summary(
        value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
    )


class MetricsLog:
    """Appends rows to the JSON lines and to TensorBoard.

    Args:
        job: where they go; only rank 0 writes.
        run: "bf16" or "fp8".
        after_step: the step that the run goes on from; what an earlier process wrote about later
            ones is dropped, since those steps are taken again.
    """

    def __init__(self, job: Job, run: str, after_step: int) -> None:
        self._main = job.ranks.main
        if not self._main:
            return
        from torch.utils.tensorboard import FileWriter

        output_dir = job.settings.output_dir
        path = metrics_path(output_dir, run)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rows = [row for row in read_metrics(output_dir, run) if row["step"] <= after_step]
        aside = path.with_suffix(".tmp")
        aside.write_text("".join(json.dumps(row) + "\n" for row in self.rows), encoding="utf-8")
        aside.replace(path)
        self._file = path.open("a", encoding="utf-8")
        self._board = FileWriter(str(output_dir / "tensorboard" / run))
        self._board.add_event(session_start(), after_step + 1)
        self._wandb = start_wandb(job, run)

    def add(self, step: int, **values: float) -> None:
        """Writes one row, visible to readers at once.

        Raises:
            OSError: the disk is full.
        """
        if not self._main:
            return
        row = {"step": step, **values}
        self.rows.append(row)
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        if self._wandb is not None:
            self._wandb.log(values, step=step)
        self._board.add_summary(summary_of(values), step)

    def close(self) -> None:
        """Flushes both."""
        if not self._main:
            return
        self._file.close()
        self._board.close()
        if self._wandb is not None:
            self._wandb.finish()

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
