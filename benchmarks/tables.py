"""What the tables show: for each, its results file and the function that makes its rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Record = dict[str, Any]
Rows = list[list[str]]


def spread(figure: dict[str, float], factor: float = 1.0, digits: int = 2) -> str:
    """Median, and the quartiles beside it."""
    median, p25, p75 = (figure[name] * factor for name in ("median", "p25", "p75"))
    return f"{median:.{digits}f} ({p25:.{digits}f} to {p75:.{digits}f})"


def markdown(rows: Rows) -> str:
    """A table; the first row is the head."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def layer(records: list[Record]) -> Rows:
    """Each recipe, dtype and shape, with quartiles."""
    head = ["recipe", "dtype", "M x K x N", "ms", "of the three float32 GEMMs", "torchao / ours"]
    rows = [head]
    for r in records:
        s = r["subject"]
        rows.append(
            [
                s["recipe"],
                s["dtype"],
                f"{s['m']} x {s['k']} x {s['n']}",
                spread(r["seconds"]["float8"], 1e3, 1),
                spread(r["of_gemms"]),
                spread(r["speedup_over_torchao"], digits=1),
            ]
        )
    return rows


def layer_summary(records: list[Record]) -> Rows:
    """One row for each recipe: the range of its medians over shapes and dtypes."""
    rows = [["recipe", "time, of the three float32 GEMMs alone", "torchao 0.18's time / ours"]]
    for recipe in dict.fromkeys(r["subject"]["recipe"] for r in records):
        own = [r for r in records if r["subject"]["recipe"] == recipe]
        gemms = sorted(r["of_gemms"]["median"] for r in own)
        torchao = sorted(r["speedup_over_torchao"]["median"] for r in own)
        rows.append(
            [
                recipe,
                f"{gemms[0]:.2f} to {gemms[-1]:.2f}",
                f"{torchao[0]:.1f} to {torchao[-1]:.1f}",
            ]
        )
    return rows


def compiled(records: list[Record]) -> Rows:
    """A compiled pass beside the eager one: one row for each model."""
    kinds = list(dict.fromkeys(r["subject"]["layers"] for r in records))
    rows = [["compiled / eager", *kinds]]
    for model in dict.fromkeys(r["subject"]["model"] for r in records):
        own = {r["subject"]["layers"]: r for r in records if r["subject"]["model"] == model}
        rows.append([model, *(spread(own[k]["of_eager"]) if k in own else "" for k in kinds)])
    return rows


def recipes(records: list[Record]) -> Rows:
    """Final losses of BF16 and the recipes, over seeds."""
    rows = [["run", "loss by seed", "mean", "minus bf16", "seeds differ by"]]
    for r in records:
        losses = ", ".join(f"{loss:.4f}" for loss in r["losses"])
        mean = f"{sum(r['losses']) / len(r['losses']):.4f}"
        chance = "" if r["chance"] is None else f"{r['chance']:.4f}"
        first = r["subject"]["run"] == "bf16"
        difference = ["", ""] if first else [f"{r['minus_bf16']:+.4f}", chance]
        rows.append([r["subject"]["run"], losses, mean, *difference])
    return rows


def step(records: list[Record]) -> Rows:
    """A training step of 8B-shaped layers on the CPU."""
    rows = [["recipe", "tokens/s", "bf16 / fp8", "peak, GiB", "of bf16's"]]
    for r in records:
        s, peaks = r["subject"], r["peak_bytes"]
        speed = s["tokens"] / r["seconds"]["fp8"]["median"]
        peak = f"{peaks['fp8'] / 2**30:.2f}"
        figures = [f"{speed:.1f}", spread(r["bf16_over_fp8"]), peak, f"{r['peak_of_bf16']:.2f}"]
        rows.append([s["recipe"], *figures])
    return rows


def inspection(records: list[Record]) -> Rows:
    """A training step with the health report against one without."""
    rows = [
        ["model", "recipe", "step, ms", "inspected / plain", "of the training, every 10th step"]
    ]
    for r in records:
        s, milliseconds = r["subject"], spread(r["seconds"]["plain"], 1e3, 1)
        share = f"{r['of_training']:.2%}"
        rows.append([s["model"], s["recipe"], milliseconds, spread(r["of_plain"], digits=3), share])
    return rows


def casts(records: list[Record]) -> Rows:
    """Bandwidth of quantization, and its share of memcpy's."""
    rows = [["recipe", "dtype", "copies", "M x K", "GB/s", "of memcpy's"]]
    for r in records:
        s = r["subject"]
        bandwidth = r["bytes"] / r["seconds"]["quantize"]["median"] / 1e9
        size = f"{s['m']} x {s['k']}"
        share = spread(r["of_memcpy"])
        rows.append([s["recipe"], s["dtype"], s["layout"], size, f"{bandwidth:.1f}", share])
    return rows


def conversion(records: list[Record]) -> Rows:
    """Milliseconds to convert a model."""
    rows = [["linear layers", "ms", "torchao, ms", "ours / torchao"]]
    for r in records:
        ours, theirs = (spread(r["seconds"][name], 1e3, 1) for name in ("float8", "torchao"))
        rows.append([str(r["subject"]["layers"]), ours, theirs, spread(r["of_torchao"])])
    return rows


def host_instructions(records: list[Record]) -> Rows:
    """Instructions of a call, and whose they are."""
    rows = [["recipe", "call", "instructions", "of at::linear's", "torch", "libc", "libfloat8"]]
    for r in records:
        s, count = r["subject"], r["instructions"]
        shares = [f"{r['by_part'][part] / count:.0%}" for part in ("torch", "libc", "float8")]
        call = s["pass"].replace("_", " + ")
        rows.append([s["recipe"], call, f"{count:,}", f"{count / r['at_linear']:.2f}", *shares])
    return rows


def trainer(records: list[Record]) -> Rows:
    """What the training command adds."""
    rows = [["what", "figure", "goal"]]
    for r in records:
        what = r["subject"]["what"]
        if what == "start":
            figure = f"{spread(r['beyond_imports'], digits=1)} s beyond imports"
            goal = f"{r['goals']['start_beyond_imports_seconds']:.0f} s"
            rows.append(["start to first step", figure, goal])
        elif what == "step":
            goal = f"{r['goals']['step_over_bare']:.2f}"
            rows.append(["a step, of a bare loop's", spread(r["of_bare"], digits=3), goal])
        else:
            name = f"{r['subject']['run']}, 2 processes - 1, {r['subject']['steps']} steps"
            last, most = r["final_difference"], r["largest_difference"]
            rows.append([name, f"last 10 steps {last:+.4f}, largest {most:+.4f}", ""])
    return rows


def import_time(records: list[Record]) -> Rows:
    """Seconds that an import takes."""
    rows = [["import torch, s", "import float8 after it, s"]]
    for r in records:
        rows.append([spread(r["seconds"]["torch"]), spread(r["added_seconds"], digits=3)])
    return rows


def data_loading(records: list[Record]) -> Rows:
    """Tokens per second of each part of the way from rows to batches."""
    rows = [["rows", "layout", "made, tokens/s", "tokenized one by one", "opened, s", "drawn"]]
    for r in records:
        s, speed = r["subject"], r["tokens_per_second"]
        shown = [f"{speed[name]:,}" for name in ("make", "one_by_one", "draw")]
        opened = spread(r["seconds"]["open"], digits=3)
        rows.append([s["rows"], s["layout"], *shown[:2], opened, shown[2]])
    return rows


def wire(records: list[Record]) -> Rows:
    """Megabytes that a rank receives in a step."""
    rows = [["ranks", "run", "all-gather, MB", "of BF16's", "reduce-scatter, MB", "all-reduces"]]
    for r in records:
        s, received = r["subject"], r["bytes_received"]
        gathered, scattered = (
            f"{received[name] / 1e6:.1f}" for name in ("all_gather", "reduce_scatter")
        )
        share = f"{r['all_gather_of_bf16']:.4f}"
        calls = str(r["calls"].get("all_reduce", 0))
        rows.append([str(s["ranks"]), s["run"], gathered, share, scattered, calls])
    return rows


def many_hosts(records: list[Record]) -> Rows:
    """Gigabytes that a rank holds, and sends in a step."""
    rows = [["GPUs", "replicas x shards", "run", "holds", "all-gathers", "reduce-scatters"]]
    rows[0] += ["all-reduces", "sends in all"]
    for r in records:
        s, count = r["subject"], r["bytes"]
        sent = [count[name] for name in ("all_gather", "reduce_scatter", "all_reduce")]
        # Weights and gradients in BF16, and Adam's two moments.
        figures = [f"{value / 1e9:.2f}" for value in (4 * count["weights"], *sent, sum(sent))]
        shape = f"{s['replicas']} x {s['ranks'] // s['replicas']}"
        rows.append([str(s["ranks"]), shape, s["run"], *figures])
    return rows


def host(records: list[Record]) -> Rows:
    """Microseconds of a tiny layer's call."""
    rows = [["call", "us", "nn.Linear, us", "ours / nn.Linear"]]
    for r in records:
        ours, theirs = (spread(r["seconds"][name], 1e6, 1) for name in ("float8", "nn_linear"))
        name = r["subject"]["pass"].replace("_", " + ")
        rows.append([name, ours, theirs, spread(r["of_nn_linear"])])
    return rows


def numerics(records: list[Record]) -> Rows:
    """SQNR of a layer's results over all cases of a recipe and dtype, in dB."""
    names = ("output", "dX", "dW", "db")
    rows = [["recipe", "dtype", "cases", *names, "least above torchao, dB"]]
    layers = [r for r in records if "recipe" in r["subject"]]
    kinds = dict.fromkeys((r["subject"]["recipe"], r["subject"]["dtype"]) for r in layers)
    for kind in kinds:
        own = [r for r in layers if (r["subject"]["recipe"], r["subject"]["dtype"]) == kind]
        ranges = []
        for name in names:
            values = [r["ours"][name] for r in own if r["ours"][name] is not None]
            ranges.append(f"{min(values):.1f} to {max(values):.1f}" if values else "exact")
        least = min(r["least_difference"] for r in own)
        rows.append([*kind, str(len(own)), *ranges, f"{least:+.4f}"])
    return rows


def numerics_products(records: list[Record]) -> Rows:
    """How far products are from the float64 product of their operands, by K."""
    rows = [["scales", "dtype", "K", "calc_diff"]]
    for r in records:
        s = r["subject"]
        if "product" in s:
            rows.append([s["product"], s["dtype"], str(s["k"]), f"{r['calc_diff']:.1e}"])
    return rows


def clients(records: list[Record]) -> Rows:
    """Losses of other trainers' programs with BF16, torchao's layers and ours."""
    kinds = ("bf16", "torchao", "ours")
    rows = [
        ["client", "processes", "recipe", *(f"{kind}, loss" for kind in kinds), "gap of torchao",
         "gap of ours", "allowed", "start", "allowed", "products", "holds"]
    ]  # fmt: skip
    for r in records:
        s, start = r["subject"], r["start"]
        mean = {kind: f"{sum(r['last'][kind]) / len(r['last'][kind]):.4f}" for kind in kinds}
        gaps = [sum(r["gap"][kind]) / len(r["gap"][kind]) for kind in ("torchao", "ours")]
        figures = [*gaps, r["gap"]["allowed"], start["ours"], start["allowed"]]
        shown = [f"{figure:.5f}" for figure in figures]
        name = [s["client"], str(s["processes"]), s["recipe"]]
        verdict = "yes" if r["holds"] else "NO"
        rows.append([*name, *mean.values(), *shown, str(r["products"]), verdict])
    return rows


def quickstart(records: list[Record]) -> Rows:
    """The final losses of both runs, for each seed."""
    rows = [["seed", "run", "final loss", "validation", "tokens/s", "both runs, s"]]
    for r in records:
        for name in ("bf16", "fp8"):
            run = r[name]
            losses = [f"{run['final_loss']:.3f}", f"{run['validation_loss']:.3f}"]
            speed = f"{run['tokens_per_second']:.0f}"
            seconds = f"{r['seconds']:.0f}" if name == "bf16" else ""
            rows.append([str(r["subject"]["seed"]), name, *losses, speed, seconds])
    return rows


TABLES: dict[str, tuple[str, Callable[[list[Record]], Rows]]] = {
    "layer": ("layer", layer),
    "layer_summary": ("layer", layer_summary),
    "compiled": ("compiled", compiled),
    "inspection": ("inspection", inspection),
    "step": ("step", step),
    "recipes": ("recipes", recipes),
    "casts": ("casts", casts),
    "conversion": ("conversion", conversion),
    "import_time": ("import_time", import_time),
    "data_loading": ("data_loading", data_loading),
    "host": ("host", host),
    "wire": ("wire", wire),
    "many_hosts": ("many_hosts", many_hosts),
    "host_instructions": ("host_instructions", host_instructions),
    "numerics": ("numerics", numerics),
    "numerics_products": ("numerics", numerics_products),
    "clients": ("clients", clients),
    "quickstart": ("quickstart", quickstart),
    "trainer": ("trainer", trainer),
}
