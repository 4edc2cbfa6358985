"""The picture of the loss curves and the speed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from float8.train.metrics import Row

_COLORS = {"bf16": "#1f77b4", "fp8": "#d62728"}
_MARKERS = {"bf16": "o", "fp8": "x"}  # a cross over a dot shows both where they agree


def smooth(values: list[float], window: int) -> list[float]:
    """The mean of each value and up to `window - 1` before it."""
    means = []
    for index in range(len(values)):
        part = values[max(0, index + 1 - window) : index + 1]
        means.append(sum(part) / len(part))
    return means


def draw_losses(path: Path, title: str, runs: dict[str, list[Row]]) -> None:
    """Draws all runs' losses over the steps; below, with two runs, their difference; and tokens/s.

    Args:
        path: the PNG to write.
        title: the line above.
        runs: name -> rows of its metrics.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    curves = {name: [row for row in rows if "loss" in row] for name, rows in runs.items()}
    two = len(curves) == 2
    axes = figure.subplots(3 if two else 2, 1, sharex=True, squeeze=False,
                           height_ratios=[3, 1, 1] if two else [3, 1])  # fmt: skip
    top = axes[0][0]
    for name, rows in curves.items():
        steps, losses = [row["step"] for row in rows], [row["loss"] for row in rows]
        window = max(1, len(losses) // 25)
        top.plot(steps, losses, color=_COLORS[name], alpha=0.25, linewidth=0.8)
        top.plot(steps, smooth(losses, window), color=_COLORS[name], label=name.upper(),
                 linestyle="--" if name == "fp8" else "-")  # fmt: skip
        checked = [row for row in runs[name] if "validation_loss" in row]
        if checked:
            top.plot(
                [row["step"] for row in checked],
                [row["validation_loss"] for row in checked],
                _MARKERS[name],
                color=_COLORS[name],
                label=f"{name.upper()} validation",
            )
    top.set_ylabel("loss (nats per token)")
    top.set_title(title)
    top.grid(alpha=0.3)
    top.legend()
    if two:
        _draw_difference(axes[1][0], curves["bf16"], curves["fp8"])
    _draw_speed(axes[-1][0], curves)
    axes[-1][0].set_xlabel("step")
    aside = path.with_suffix(".tmp.png")
    figure.savefig(aside, dpi=130)
    aside.replace(path)


def _draw_speed(axes: Any, curves: dict[str, list[Row]]) -> None:
    for name, rows in curves.items():
        speeds = [row["tokens_per_second"] for row in rows]
        axes.plot([row["step"] for row in rows], smooth(speeds, max(1, len(speeds) // 25)),
                  color=_COLORS[name], linewidth=0.8)  # fmt: skip
    axes.set_ylim(bottom=0)
    axes.set_ylabel("tokens/s")
    axes.grid(alpha=0.3)


def _draw_difference(axes: object, bf16: list[Row], fp8: list[Row]) -> None:
    pairs = [(a["step"], b["loss"] - a["loss"]) for a, b in zip(bf16, fp8, strict=False)]
    axes.plot(*zip(*pairs, strict=True), color="black", linewidth=0.8)  # type: ignore[attr-defined]
    axes.axhline(0, color="gray", linewidth=0.8)  # type: ignore[attr-defined]
    axes.set_ylabel("FP8 - BF16")  # type: ignore[attr-defined]
    axes.grid(alpha=0.3)  # type: ignore[attr-defined]
