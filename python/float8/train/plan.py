"""`float8 plan`: what would be converted, without any weights."""

from __future__ import annotations

from typing import Any

import float8
from float8.train.console import View
from float8.train.model import meta_model, read_model_config
from float8.train.ranks import world_size
from float8.train.settings import Settings

_FSDP_KEYS = ("enable_fsdp_float8_all_gather", "precompute_float8_dynamic_scale_for_fsdp")


def show_plan(settings: Settings, config: Any, view: View) -> None:
    """Prints the conversion report of the model that `config` describes, made on meta.

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
    note_without_effect(settings, view)


def note_without_effect(settings: Settings, view: View) -> None:
    """One line about the keys that need FSDP2, of which one process has none."""
    if world_size() > 1:
        return
    named = [f"fp8.{name}" for name in _FSDP_KEYS if getattr(settings.fp8, name)]
    if named:
        verb = "has" if len(named) == 1 else "have"
        view.line(f"{' and '.join(named)} {verb} no effect in one process (no FSDP2)")


def plan_command(settings: Settings) -> None:
    """Runs `float8 plan`."""
    show_plan(settings, read_model_config(settings), View())
