"""The picture of the layer benchmark: time by recipe and shape, of the three GEMMs alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
mpl.rcParams["svg.hashsalt"] = "float8"  # the same bytes from the same figures

import matplotlib.pyplot as plt  # noqa: E402

WIDTH = 0.38
COLOURS = {"float8": "#2563eb", "torchao": "#9ca3af"}


def draw(records: list[dict[str, Any]], path: Path) -> None:
    """Bars for libfloat8 and torchao, one panel for each dtype; the last device that ran."""
    if not records:
        return
    device = records[-1]["environment"]["device"]
    records = [r for r in records if r["environment"]["device"] == device]
    dtypes = list(dict.fromkeys(r["subject"]["dtype"] for r in records))
    figure, panels = plt.subplots(1, len(dtypes), figsize=(11, 3.8), sharey=True, squeeze=False)
    for panel, dtype in zip(panels[0], dtypes, strict=True):
        own = [r for r in records if r["subject"]["dtype"] == dtype]
        for shift, name in ((-WIDTH / 2, "float8"), (WIDTH / 2, "torchao")):
            heights = [r["seconds"][name]["median"] / r["seconds"]["gemms"]["median"] for r in own]
            places = [i + shift for i in range(len(own))]
            label = "libfloat8" if name == "float8" else "torchao 0.18"
            panel.bar(places, heights, WIDTH, color=COLOURS[name], label=label)
        panel.axhline(1.0, color="black", linewidth=0.8)
        panel.set_title(f"{dtype} input", fontsize=10)
        names = [
            "{recipe}\n{m} x {k} x {n}".format(**r["subject"]).replace("_with_", "_\nwith_")
            for r in own
        ]
        panel.set_xticks(range(len(own)), names, fontsize=6, rotation=60)
    panels[0][0].set_ylabel("forward + backward,\nof the three float32 GEMMs alone")
    panels[0][0].legend(fontsize=8)
    figure.suptitle(f"A layer in emulation on the CPU ({device})", fontsize=11)
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)
