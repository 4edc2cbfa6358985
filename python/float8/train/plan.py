"""`float8 plan`: what would be converted, held and sent, without any weights and without a GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import float8
from float8 import _C
from float8.train import estimate
from float8.train.config.settings import Settings
from float8.train.console import View, columns
from float8.train.estimate import Layout
from float8.train.hub import without_hub
from float8.train.model import longest_row, meta_model, read_model_config
from float8.train.processes.ranks import check_layout, world_size

_FSDP_KEYS = ("enable_fsdp_float8_all_gather", "precompute_float8_dynamic_scale_for_fsdp")


def show_plan(settings: Settings, config: Any, view: View, world: int | None = None) -> None:
    """Prints the conversion report of the model that `config` describes, made on meta.

    Args:
        settings: the checked configuration.
        config: transformers' configuration of the model.
        view: where it prints.
        world: how many processes it is for; None is those that are running.

    Raises:
        float8.ConfigError: no layer would be converted.
    """
    model = meta_model(settings, config)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    view.line(f"{type(model).__name__}, {parameters:,} parameters")
    if not settings.fp8.enabled:
        view.line("fp8.enabled is false: the model is left alone, in BF16")
        return
    report = float8.plan_conversion(model, config=settings.fp8).report
    view.line(str(report))
    note_without_effect(settings, view, world_size() if world is None else world)


def note_without_effect(settings: Settings, view: View, world: int) -> None:
    """One line about the keys that need FSDP2, of which one process has none."""
    if world > 1:
        return
    named = [f"fp8.{name}" for name in _FSDP_KEYS if getattr(settings.fp8, name)]
    if named:
        verb = "has" if len(named) == 1 else "have"
        view.line(f"{' and '.join(named)} {verb} no effect in one process (no FSDP2)")


def plan_command(settings: Settings, processes: int = 1, nodes: int = 1) -> None:
    """Runs `float8 plan`.

    Args:
        settings: the checked configuration.
        processes: on each node; one for each GPU.
        nodes: how many there are.

    Raises:
        float8.ConfigError: no layer would be converted, or the batch cannot be divided.
    """
    replicas = settings.distributed.dp_replicate_size or 1
    layout = Layout(processes, nodes, replicas)
    check_layout(settings, layout.world)
    view = View()
    if note := without_hub(settings, data=False):
        view.line(note)
    config = read_model_config(settings)
    length = longest_row(settings, config)
    if not length:
        raise settings.document.error(
            "packed_sequence.packed_sequence_size",
            "tokens per row (or dataset.seq_length), since this model allows any number",
            "the integer 0",
        )
    show_plan(settings, config, view, layout.world)
    show_memory(settings, config, layout, length, view)
    if settings.fp8.enabled:
        show_speed(settings, config, length, view)


def show_memory(settings: Settings, config: Any, layout: Layout, length: int, view: View) -> None:
    """Prints what one rank holds, in BF16 and in FP8, and what it sends in a step."""
    plain = meta_model(settings, config)
    kinds = {"BF16": (estimate.units_of(settings, plain, fp8_all_gather=False), False)}
    if settings.fp8.enabled:
        gathers = settings.fp8.enable_fsdp_float8_all_gather and layout.world > 1
        # On meta, and never sharded: only to see which layers it converts.
        fp8 = replace(
            settings.fp8,
            enable_fsdp_float8_all_gather=False,
            precompute_float8_dynamic_scale_for_fsdp=False,
        )
        model = float8.plan_conversion(meta_model(settings, config), config=fp8).apply()
        kinds["FP8"] = (estimate.units_of(settings, model, gathers), True)
    memory = {
        name: estimate.memory_of(settings, config, units, layout, length, fp8)
        for name, (units, fp8) in kinds.items()
    }
    batch = settings.step_scheduler.local_batch_size
    nodes = f"{layout.nodes} nodes of {layout.processes}" if layout.nodes > 1 else "one node"
    most = "" if settings.packed_sequence.packed_sequence_size else "at most "
    view.line(f"\n{layout.world} processes ({nodes}), {batch} x {most}{length} tokens each")
    unit, scale = _unit(max(m.total for m in memory.values()))
    rows = [[f"{unit} on the fullest rank", *kinds]]
    for part in next(iter(memory.values())).rows:
        rows.append([part, *(f"{m.rows[part] / scale:.2f}" for m in memory.values())])
    rows.append(["sum", *(f"{m.total / scale:.2f}" for m in memory.values())])
    if layout.world > 1:
        rows += _traffic_rows(settings, {name: units for name, (units, _) in kinds.items()}, layout)
    view.line(columns(rows))
    if settings.compile.enabled:
        view.line("activations as in eager mode, a bound: compiled blocks keep fewer")


def _traffic_rows(
    settings: Settings, units: dict[str, list[estimate.Unit]], layout: Layout
) -> list[list[str]]:
    shards = layout.shards
    largest = {n: max(u, key=lambda unit: unit.gathered(shards)) for n, u in units.items()}
    blocks = {n: max((x for x in u if not x.root), key=lambda x: x.gathered(shards), default=None)
              for n, u in units.items()}  # fmt: skip
    block = {n: largest[n] if found is None else found for n, found in blocks.items()}
    traffic = {name: estimate.traffic_of(settings, own, layout) for name, own in units.items()}
    mib = 2.0**20
    unit, scale = _unit(max(t.total for t in traffic.values()))
    return [
        ["", *("" for _ in units)],
        ["a block's all-gather, MiB", *(f"{u.gathered(shards) / mib:.1f}" for u in block.values())],
        [f"sent by a rank in a step, {unit}", *("" for _ in units)],
        ["  all-gathers", *(f"{t.all_gather / scale:.2f}" for t in traffic.values())],
        ["  reduce-scatters", *(f"{t.reduce_scatter / scale:.2f}" for t in traffic.values())],
        ["  all-reduces of replicas", *(f"{t.all_reduce / scale:.2f}" for t in traffic.values())],
    ]


def _unit(largest: float) -> tuple[str, float]:
    """In which a column is readable."""
    return ("GiB", 2.0**30) if largest >= 2**30 else ("MiB", 2.0**20)


def show_speed(settings: Settings, config: Any, length: int, view: View) -> None:
    """Prints what the cost model of auto_filter_small_kn predicts for each shape of layer, and for
    all of them, each by its share of the floating point operations.
    """
    report = float8.plan_conversion(meta_model(settings, config), config=settings.fp8).report
    tokens = settings.step_scheduler.local_batch_size * length
    shapes: dict[tuple[int, int], list[str]] = {}
    for layer in report.layers:
        if layer.converted:
            shapes.setdefault((layer.out_features, layer.in_features), []).append(layer.fqn)
    rows = [["layers [N, K]", "how many", "FP8's speed / BF16's"]]
    linear = settings.fp8.linear_config()
    before = after = 0.0
    for (n, k), names in shapes.items():
        speedup = _C.predicted_speedup(linear, k, n, tokens)
        example = names[0].rpartition(".")[2]
        rows.append([f"{example} [{n}, {k}]", str(len(names)), f"{speedup:.2f}"])
        before, after = before + len(names) * n * k, after + len(names) * n * k / speedup
    rows.append(["all of them", str(sum(map(len, shapes.values()))), f"{before / after:.2f}"])
    view.line(f"\npredicted for {tokens} tokens on an H100; products and casts alone, not measured")
    view.line(columns(rows))
