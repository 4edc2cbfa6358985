"""What the user sees: lines, a progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

_SECONDS_BETWEEN_LINES = 5.0


def figures(values: Mapping[str, float]) -> str:
    """One step's numbers as people read them."""
    parts = [
        f"loss {values['loss']:.3f}",
        f"lr {values['lr']:.2e}",
        f"norm {values['grad_norm']:.2f}",
        f"{values['tokens_per_second']:,.0f} tokens/s",
        f"{values['tflops']:.3g} TFLOP/s",
    ]
    if "mfu" in values:
        parts.append(f"MFU {values['mfu']:.1%}")
    return "  ".join([*parts, f"{values['peak_memory_gib']:.1f} GiB"])


def columns(rows: list[list[str]]) -> str:
    """Rows as plain text in columns: the first to the left, the others, numbers, to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


class StepView:
    """One run's steps on the screen."""

    def show(self, step: int, values: Mapping[str, float]) -> None:
        """Called after each step."""
        raise NotImplementedError


class StepBar(StepView):
    """For a terminal: a bar with the loss, tokens/s and the time left."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def show(self, step: int, values: Mapping[str, float]) -> None:
        """Moves the bar."""
        self._progress.update(self._task, completed=step, figures=figures(values))


class StepLines(StepView):
    """For a log file or CI: a line every few seconds, and the last step's."""

    def __init__(self, view: View, run: str, total: int) -> None:
        self._view, self._run, self._total = view, run, total
        self._started = self._printed = time.monotonic()
        self._first: int | None = None

    def show(self, step: int, values: Mapping[str, float]) -> None:
        """Prints a line when it is time for one."""
        now = time.monotonic()
        if self._first is None:
            self._first = step - 1
        if step < self._total and now - self._printed < _SECONDS_BETWEEN_LINES:
            return
        self._printed = now
        left = (now - self._started) / (step - self._first) * (self._total - step)
        self._view.line(
            f"{self._run:4}  step {step}/{self._total}  {figures(values)}  {left:.0f} s left"
        )


class View:
    """Prints to standard output. Texts are printed as they are: brackets are no markup.

    Args:
        quiet: print nothing, as all ranks but one.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(highlight=False, markup=False, soft_wrap=True, quiet=quiet)

    def line(self, text: str = "") -> None:
        """One line, or several."""
        self.console.print(text)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table whose first column is text and whose others are numbers."""
        table = Table(*columns)
        for column in table.columns[1:]:
            column.justify = "right"
        for row in rows:
            table.add_row(*row)
        self.console.print(table)

    @contextmanager
    def progress(self, run: str, done: int, total: int) -> Iterator[StepView]:
        """Shows the steps of one run, of which `done` of `total` are already taken."""
        if not self.console.is_terminal:
            yield StepLines(self, run, total)
            return
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=self.console,
        ) as progress:
            task = progress.add_task(f"{run:4}", total=total, completed=done, figures="")
            yield StepBar(progress, task)
