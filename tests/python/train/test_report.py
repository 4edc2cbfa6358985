"""Figures beside the loss: what they mean, and that all of them are written down and shown."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from float8.train import console, report
from float8.train.config.settings import load_settings
from float8.train.console import StepLines, figures
from float8.train.model import meta_model, read_model_config
from float8.train.report import Meter, flops_per_token, peak_flops, peak_memory, reset_peak_memory

CPU = torch.device("cpu")
# What one step is worth: all in the JSON lines, and on the screen.
COLUMNS = ("loss", "lr", "grad_norm", "tokens", "tokens_per_second", "tflops", "peak_memory_gib")


def tiny(config, *keys):
    settings = load_settings(str(config), keys)
    return meta_model(settings, read_model_config(settings))


def test_floating_point_operations_of_a_token(config):
    # By hand: q, k, v, o of 32 x 32, gate, up, down of 32 x 48, a head of 272 x 32; the embedding
    # is no product. Attention: 12 x 1 layer x 32 x 64 tokens.
    weights = 4 * 32 * 32 + 3 * 32 * 48 + 272 * 32
    assert flops_per_token(tiny(config), 64) == 6 * weights + 12 * 32 * 64
    # A head of another size than width / heads (Mistral Nemo's): queries of 2 x 48.
    wide = tiny(config, ("model.config.head_dim", "48"))
    weights = 4 * 32 * 96 + 3 * 32 * 48 + 272 * 32
    assert flops_per_token(wide, 64) == 6 * weights + 12 * 96 * 64


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA GH200 480GB", 989e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA L4", 121e12),
        ("some other", None),
    ],
)
def test_a_gpus_peak_is_known_by_its_name(name, peak, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: name)
    assert peak_flops(torch.device("cuda", 0)) == peak
    assert peak_flops(CPU) is None


@pytest.mark.parametrize("world", [1, 4])
def test_a_step_in_figures(config, monkeypatch, world):
    """tokens/s are of all processes, TFLOP/s and their share of the peak of one device."""
    monkeypatch.setattr(report, "peak_flops", lambda _: 1e12)
    job = SimpleNamespace(
        device=CPU, rows=SimpleNamespace(longest=64), ranks=SimpleNamespace(world=world)
    )
    model = tiny(config)
    values = Meter(job, model).values(tokens=1000, seconds=0.5)
    assert values["tokens_per_second"] == 2000
    assert values["tflops"] == pytest.approx(flops_per_token(model, 64) * 2000 / world / 1e12)
    assert values["mfu"] == pytest.approx(values["tflops"])
    shown = figures({"loss": 1.25, "lr": 1e-5, "grad_norm": 2.5, **values, "mfu": 0.345})
    assert shown.startswith("loss 1.250  lr 1.00e-05  norm 2.50  2,000 tokens/s  ")
    assert "MFU 34.5%" in shown
    assert shown.endswith(f"{values['peak_memory_gib']:.1f} GiB")


def test_peak_memory_is_of_what_came_since(tmp_path):
    size = 2**28
    before = peak_memory(CPU)
    held = torch.ones(size, dtype=torch.uint8)
    assert peak_memory(CPU) >= before + size * 0.9
    del held
    assert peak_memory(CPU) >= before + size * 0.9, "a peak does not go down by itself"
    reset_peak_memory(CPU)
    assert peak_memory(CPU) < before + size * 0.5, "the next run would be charged for it"


def test_time_left_is_the_mean_steps(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    lines = []
    view = SimpleNamespace(line=lines.append)
    values = dict.fromkeys((*COLUMNS, "mfu"), 1.0)
    # Going on after step 4 of 20; each step takes 2 s, and a line comes every 5 s.
    shown = StepLines(view, "fp8", 20)
    for step in range(5, 21):
        now[0] += 2.0
        shown.show(step, values)
    parts = [line.split() for line in lines]
    assert [part[2] for part in parts] == ["7/20", "10/20", "13/20", "16/20", "19/20", "20/20"]
    assert [part[-3] for part in parts] == ["26", "20", "14", "8", "2", "0"]
    assert all(part[-2:] == ["s", "left"] for part in parts)


def test_a_terminal_shows_a_bar(monkeypatch):
    view, values = console.View(), dict.fromkeys((*COLUMNS, "mfu"), 1.0)
    view.console = Console(file=io.StringIO(), force_terminal=True, width=200, color_system=None)
    with view.progress("fp8", 4, 20) as shown:
        shown.show(5, values)
        shown.show(20, values)
    last = view.console.file.getvalue().splitlines()[-2]  # then the cursor comes back
    assert "fp8 " in last
    assert "20/20" in last
    assert figures(values) in last
    assert last.rstrip().endswith("left")


def test_the_json_lines_have_all_of_it(cli, config, run):
    words = ("--step_scheduler.val_every_steps", 3, "--bf16_baseline", "false",
             "--validation_dataset.path", config.parent / "text.jsonl")  # fmt: skip
    result = cli("train", config, *words)
    assert result.status == 0, result.err
    rows = [json.loads(line) for line in (run / "fp8" / "metrics.jsonl").open()]
    steps = [row for row in rows if "loss" in row]
    assert [row["step"] for row in steps] == [1, 2, 3, 4, 5, 6]
    for row in steps:
        assert row.keys() >= {"step", *COLUMNS}
        assert all(row[name] > 0 for name in COLUMNS)
        assert row["tokens"] == 4 * 32
    checked = {row["step"]: row["validation_loss"] for row in rows if "validation_loss" in row}
    assert list(checked) == [3, 6]
    for step, loss in checked.items():
        assert f"fp8   step {step}  validation loss {loss:.4f}" in result.out
