"""Pictures of GPU figures: speed by shape, the roofline, and the share of time by kernel.

Each shows the last device that was measured. matplotlib is imported when something is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from records import device_of

Record = dict[str, Any]
COLOURS = {
    "ours compiled": "#2563eb",
    "ours eager": "#93c5fd",
    "torchao compiled": "#6b7280",
    "torchao eager": "#d1d5db",
}
MARKS = {"float8": ("libfloat8", "#2563eb"), "scaled_mm": ("torch._scaled_mm", "#6b7280"),
         "bf16": ("BF16", "#d97706")}  # fmt: skip
PARTS = ("product", "cast", "amax", "transpose", "compiled", "other")
PART_COLOURS = ("#2563eb", "#f59e0b", "#10b981", "#8b5cf6", "#6b7280", "#d1d5db")


def plotting() -> Any:
    """matplotlib, set so that the same figures give the same bytes."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "float8"
    import matplotlib.pyplot as plt

    return plt


def of_last_device(records: list[Record]) -> tuple[str, list[Record]]:
    """The device that was measured last, and its records."""
    device = device_of(max(records, key=lambda r: str(r["date"])))
    return device, [r for r in records if device_of(r) == device]


def save(plt: Any, figure: Any, path: Path) -> None:
    """Writes the picture."""
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)


def layers(records: list[Record], path: Path) -> None:
    """Bars: each candidate's speed as a multiple of compiled BF16's; a panel for each recipe."""
    plt = plotting()
    device, records = of_last_device(records)
    recipes = list(dict.fromkeys(r["subject"]["recipe"] for r in records))
    figure, panels = plt.subplots(
        len(recipes), 1, figsize=(11, 3.4 * len(recipes) + 0.6), squeeze=False, sharey=True
    )
    for (panel,), recipe in zip(panels, recipes, strict=True):
        own = [r for r in records if r["subject"]["recipe"] == recipe]
        own.sort(key=lambda r: [r["subject"][name] for name in ("model", "layer", "m")])
        width = 0.8 / len(COLOURS)
        for number, (who, colour) in enumerate(COLOURS.items()):
            places = [i + (number - 1.5) * width for i in range(len(own))]
            heights = [
                r["seconds"]["bf16 compiled"]["median"] / r["seconds"][who]["median"]
                if who in r["seconds"]
                else 0.0
                for r in own
            ]
            panel.bar(places, heights, width, color=colour, label=who)
        floors = [r["seconds"]["bf16 compiled"]["median"] / r["floor"]["seconds"] for r in own]
        panel.plot(range(len(own)), floors, "k_", markersize=24, label="the floor")
        panel.axhline(1.0, color="black", linewidth=0.8)
        names = ["{model} {layer}, {m}".format(**r["subject"]) for r in own]
        panel.set_xticks(range(len(own)), names, fontsize=7, rotation=50, ha="right")
        panel.set_ylabel("speed, of BF16 compiled")
        panel.set_title(recipe, fontsize=10)
    panels[0][0].legend(fontsize=7, ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1.12))
    figure.suptitle(f"A layer, forward and backward ({device})", fontsize=11)
    save(plt, figure, path)


def gemms(records: list[Record], path: Path) -> None:
    """Roofline: TFLOP/s by FLOP per byte, under the highest speed and bandwidth that were seen."""
    plt = plotting()
    device, records = of_last_device(records)
    figure, panel = plt.subplots(figsize=(8, 4.5))
    speeds: list[float] = []
    intensities: list[float] = []
    for who, (label, colour) in MARKS.items():
        own = [r for r in records if who in r["seconds"] and r["subject"]["algorithms"] == 1]
        # An operand of BF16 is twice as large.
        moved = [r["least_bytes"] + (r["operand_bytes"] if who == "bf16" else 0) for r in own]
        x = [r["flops"] / size for r, size in zip(own, moved, strict=True)]
        y = [r["flops"] / r["seconds"][who]["median"] / 1e12 for r in own]
        panel.plot(x, y, "o", color=colour, label=label, markersize=4)
        speeds += y
        intensities += x
    panel.axhline(max(speeds), color="black", linewidth=0.8)
    bandwidth = max((r.get("bandwidth", 0.0) for r in records), default=0.0)
    if bandwidth:
        ridge = max(speeds) * 1e12 / bandwidth
        start = min(*intensities, ridge) / 4
        panel.plot([start, ridge], [start * bandwidth / 1e12, max(speeds)], "k-", linewidth=0.8)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_ylim(min(speeds) / 4, max(speeds) * 1.5)
    panel.set_xlabel("FLOP per byte that must move")
    panel.set_ylabel("TFLOP/s")
    panel.legend(fontsize=8)
    panel.set_title(
        f"Products, under the fastest one and the copy bandwidth ({device})", fontsize=10
    )
    save(plt, figure, path)


def kernels(records: list[Record], path: Path) -> None:
    """Stacked bars: the share of a layer's device time in each part."""
    plt = plotting()
    device, records = of_last_device(records)
    figure, panel = plt.subplots(figsize=(8, 0.6 * len(records) + 1.6))
    left = [0.0] * len(records)
    for part, colour in zip(PARTS, PART_COLOURS, strict=True):
        widths = [r["shares"].get(part, 0.0) for r in records]
        panel.barh(range(len(records)), widths, left=left, color=colour, label=part)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    names = ["{recipe}, {who}\n{model} {layer}, {m} tokens".format(**r["subject"]) for r in records]
    panel.set_yticks(range(len(records)), names, fontsize=7)
    panel.invert_yaxis()
    panel.set_xlabel("share of the layer's device time")
    panel.legend(fontsize=7, ncols=6, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    figure.suptitle(device, fontsize=10)
    save(plt, figure, path)


@dataclass(frozen=True)
class Picture:
    """A picture of a table's records."""

    title: str
    draw: Callable[[list[Record], Path], None]


PICTURES = {
    "gpu_layers": Picture("A layer's speed by shape", layers),
    "gpu_gemms": Picture("Roofline of the products", gemms),
    "gpu_kernels": Picture("Share of time by kernel", kernels),
}
