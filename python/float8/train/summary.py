"""What a whole command came to, in one table."""

from __future__ import annotations

import statistics

from float8.train.console import View
from float8.train.metrics import Row

_FINAL_STEPS = 10  # the final loss is a mean over so many: one step's depends on its batch


def summarize(view: View, runs: dict[str, list[Row]]) -> None:
    """Prints losses and speed of each run, and what was left out of it.

    Args:
        view: where it prints.
        runs: name -> rows of its metrics.
    """
    curves = {name: [row for row in rows if "loss" in row] for name, rows in runs.items()}
    last = min([_FINAL_STEPS, *(len(steps) for steps in curves.values() if steps)])
    table, finals = [], []
    for name, steps in curves.items():
        skipped = sum("skipped" in row for row in runs[name])
        if skipped:
            view.line(f"{name}: steps left out, since something was not finite: {skipped}")
        if not steps:  # a finished run whose metrics were deleted
            view.line(f"{name}: no metrics in the run's folder")
            continue
        final = statistics.fmean(row["loss"] for row in steps[-last:])
        checked = [row["validation_loss"] for row in runs[name] if "validation_loss" in row]
        speed = statistics.median(row["tokens_per_second"] for row in steps)
        finals.append((final, checked[-1] if checked else None))
        held_out = f"{checked[-1]:.4f}" if checked else "-"
        table.append([name, f"{steps[0]['loss']:.4f}", f"{final:.4f}", held_out, f"{speed:,.0f}"])
    if len(finals) == 2:
        (bf16, bf16_checked), (fp8, fp8_checked) = finals
        difference = "-"
        if bf16_checked is not None and fp8_checked is not None:
            difference = f"{fp8_checked - bf16_checked:+.4f}"
        table.append(["difference", "", f"{fp8 - bf16:+.4f}", difference, ""])
    view.table(
        ["run", "first loss", f"final loss (last {last} steps)", "validation", "tokens/s"], table
    )
