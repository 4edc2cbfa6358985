"""What the tables of GPU figures show; the records come from `latest`, of one device each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from records import device_of, latest
from tables import Rows, markdown, spread

from gpu.goals import GOALS

Record = dict[str, Any]
NONE = "–"  # noqa: RUF001  (a peer that took no part)


def ratio(record: Record, name: str) -> str:
    """A ratio with its quartiles, where it was measured."""
    return spread(record[name]) if name in record else NONE


def verdict(record: Record, *names: str) -> str:
    """The goals of a record, by name."""
    words = [goal["status"] for goal in record.get("goals", []) if goal["name"] in names]
    return ", ".join(dict.fromkeys(words)) or NONE


def casts(records: list[Record]) -> Rows:
    """Bandwidth, beside the copy's."""
    rows = [["recipe", "dtype", "copies", "M x K", "us", "GB/s", "of the copy's", "goal"]]
    for r in records:
        s, seconds = r["subject"], r["seconds"]["quantize"]["median"]
        what = [s["recipe"], s["dtype"], s["layout"], f"{s['m']} x {s['k']}"]
        speed = [f"{seconds * 1e6:.1f}", f"{r['bytes'] / seconds / 1e9:.0f}", ratio(r, "of_copy")]
        rows.append([*what, *speed, verdict(r, "casts.of_copy")])
    return rows


def gemms(records: list[Record]) -> Rows:
    """One row for each product: the heuristic's algorithm, and beside it the best one's gain."""
    head = ["layer", "tokens", "product", "recipe", "TFLOP/s", "BF16's", "`_scaled_mm` / ours"]
    rows = [[*head, "first / best algorithm", "goal"]]
    best = {
        key_of(r["subject"]): r["over_first"] for r in records if r.get("over_first") is not None
    }
    for r in records:
        s = r["subject"]
        if s["algorithms"] != 1:
            continue
        speed = {who: r["flops"] / t["median"] / 1e12 for who, t in r["seconds"].items()}
        gain = best.get(key_of(s))
        rows.append(
            [
                f"{s['model']} {s['layer']}",
                str(s["m"]),
                s["product"],
                s["recipe"],
                f"{speed['float8']:.0f}",
                f"{speed['bf16']:.0f}",
                ratio(r, "over_scaled_mm"),
                NONE if gain is None else f"{gain:.2f}",
                verdict(r, "gemms.tensorwise", "gemms.rowwise"),
            ]
        )
    return rows


def key_of(subject: Record) -> tuple[Any, ...]:
    """A product, whatever its algorithm."""
    return tuple(value for name, value in sorted(subject.items()) if name != "algorithms")


def layers(records: list[Record]) -> Rows:
    """One row for each layer and recipe."""
    head = ["layer", "tokens", "recipe", "us", "of the floor", "BF16 / ours"]
    rows = [[*head, "torchao / ours", "torchao / ours eager", "goals"]]
    for r in records:
        s = r["subject"]
        missed = [g["name"] for g in r["goals"] if g["status"] == "missed"]
        known = any(g["status"] == "reached" for g in r["goals"])
        words = f"missed: {', '.join(missed)}" if missed else "reached" if known else NONE
        rows.append(
            [
                f"{s['model']} {s['layer']}",
                str(s["m"]),
                s["recipe"],
                spread(r["seconds"]["ours compiled"], 1e6, 0),
                ratio(r, "of_floor"),
                ratio(r, "bf16_over_ours"),
                ratio(r, "torchao_over_ours"),
                ratio(r, "torchao_over_ours_eager"),
                words,
            ]
        )
    return rows


def step(records: list[Record]) -> Rows:
    """Tokens per second and memory of each candidate; then what a block saves."""
    rows = [["recipe", "what", "BF16", "torchao", "ours", "BF16 / ours", "goals"]]
    for r in records:
        s = r["subject"]
        if s["what"] == "step":
            speeds = {who: r["tokens"] / t["median"] for who, t in r["seconds"].items()}
            cells = [f"{speeds[w]:.0f}" if w in speeds else NONE for w in WHO]
            goal = verdict(r, "step.speed")
            rows.append([s["recipe"], "tokens/s", *cells, ratio(r, "bf16_over_ours"), goal])
            rows.append(memory_row(s["recipe"], "peak memory", r["peak_bytes"], r, "step.memory"))
        else:
            name = "saved by a block"
            rows.append(memory_row(s["recipe"], name, r["saved_bytes"], r, "step.saved"))
    return rows


WHO = ("bf16", "torchao", "ours")


def memory_row(
    recipe: str, what: str, sizes: Mapping[str, int], record: Record, goal: str
) -> list[str]:
    """GiB of each candidate, and ours as a share of BF16's."""
    cells = [f"{sizes[who] / 2**30:.2f} GiB" if who in sizes else NONE for who in WHO]
    share = f"{sizes['bf16'] / sizes['ours']:.2f}"
    return [recipe, what, *cells, share, verdict(record, goal)]


def kernels(records: list[Record]) -> Rows:
    """Share of time by part."""
    parts = list(dict.fromkeys(part for r in records for part in r["shares"]))
    rows = [["recipe", "layer", "tokens", "who", "us", *parts]]
    for r in records:
        s = r["subject"]
        what = [s["recipe"], f"{s['model']} {s['layer']}", str(s["m"]), s["who"]]
        shares = [f"{r['shares'].get(part, 0):.0%}" for part in parts]
        rows.append([*what, f"{r['seconds'] * 1e6:.0f}", *shares])
    return rows


def loss_parity(records: list[Record]) -> Rows:
    """The largest difference of FP8's losses from BF16's, and what BF16's seeds differ by."""
    rows = [["recipe", "steps", "seeds", "training", "validation", "BF16's spread", "holds"]]
    for r in records:
        s = r["subject"]
        cells, spreads = [], []
        for what in ("final", "validation"):
            pairs = zip(r[what]["fp8"], r[what]["bf16"], strict=True)
            cells.append(f"{max((a - b for a, b in pairs), key=abs):+.4f}")
            spreads.append(f"{max(r[what]['bf16']) - min(r[what]['bf16']):.4f}")
        holds = "yes" if r["holds"] else "no"
        count = str(len(s["seeds"]))
        rows.append([s["recipe"], str(s["steps"]), count, *cells, ", ".join(spreads), holds])
    return rows


def steps(records: list[Record]) -> Rows:
    """How the last run of `make gpu` went."""
    rows = [["step", "ended", "seconds", "why"]]
    for r in records:
        why = str(r.get("why", "")).replace("|", "/")
        rows.append([r["subject"]["step"], r["status"], f"{r['seconds']:.0f}", why])
    return rows


def checks(records: list[Record]) -> Rows:
    """Each suite as a whole."""
    rows = [["suite", "result", "tests", "not passed"]]
    for r in records:
        name = r["subject"]["check"]
        if ":" in name and not name.startswith("sanitizer:"):
            continue
        bad = "; ".join(r.get("bad", [])) or str(r.get("why", "")).replace("|", "/")
        rows.append(
            [name, r["status"], str(r.get("tests", 0)), bad if r["status"] != "passed" else ""]
        )
    return rows


def goals_section(found: Mapping[str, list[Record]]) -> str:
    """Each goal: on how many subjects it was reached, the worst and the median one."""
    parts = []
    records = [r for name, own in found.items() for r in latest(own) if r.get("goals")]
    records = [r for r in records if isinstance(r["goals"], list)]  # other files have other goals
    for device in dict.fromkeys(map(device_of, records)):
        own = [goal for r in records if device_of(r) == device for goal in r["goals"]]
        rows = [["what", "goal", "reached", "worst", "median"]]
        for name, goal in GOALS.items():
            mine = [g for g in own if g["name"] == name]
            if not mine:
                rows.append([goal.what, goal.text, "not measured", "", ""])
                continue
            values = [g["value"] for g in mine]
            worst = min(values) if goal.at_least else max(values)
            reached = sum(g["status"] == "reached" for g in mine)
            judged = any(g["status"] in ("reached", "missed") for g in mine)
            text = f"{reached} of {len(mine)}" if judged else "no goal for this device"
            rows.append([goal.what, goal.text, text, f"{worst:.2f}", f"{median(values):.2f}"])
        commits = sorted({r["environment"]["commit"] for r in records if device_of(r) == device})
        parts.append(f"{markdown(rows)}\n\n{device}, commit {', '.join(commits)}\n")
    return "\n".join(parts) if parts else "Not measured on a GPU yet.\n"


GPU_TABLES: dict[str, tuple[str, Callable[[list[Record]], Rows]]] = {
    "gpu_layers": ("gpu_layers", layers),
    "gpu_gemms": ("gpu_gemms", gemms),
    "gpu_casts": ("gpu_casts", casts),
    "gpu_step": ("gpu_step", step),
    "loss_parity": ("loss_parity", loss_parity),
    "gpu_kernels": ("gpu_kernels", kernels),
    "gpu_steps": ("gpu_steps", steps),
    "gpu_checks": ("gpu_checks", checks),
}
