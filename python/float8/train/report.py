"""What a step is worth reporting beside its loss: speed, use of the device, memory, health."""

from __future__ import annotations

import contextlib
import math
import re
import resource
from pathlib import Path
from typing import Any

import torch
from torch import nn

from float8.inspection import HealthReport
from float8.train.job import Job

# BF16's dense peak in TFLOP/s by a part of the device's name, the longer names first. FP8's share
# is of the same peak, so that the two runs can be compared.
_PEAKS = {
    "H100 PCIe": 756,
    "H100": 989,
    "H200": 989,
    "GH200": 989,
    "B200": 2250,
    "A100": 312,
    "L40S": 362,
    "L4": 121,
    "RTX 4090": 165,
}


class Meter:
    """Turns tokens and seconds into figures.

    Args:
        job: where it runs.
        model: for its size; may be sharded.
    """

    def __init__(self, job: Job, model: Any) -> None:
        length = job.rows.longest
        self.flops_per_token = flops_per_token(model, length)
        self._device, self._world = job.device, job.ranks.world
        self._peak = peak_flops(job.device)
        reset_peak_memory(job.device)

    def values(self, tokens: int, seconds: float) -> dict[str, float]:
        """Tokens/s of all ranks; TFLOP/s and its share of the peak (MFU) of one; peak memory."""
        flops = self.flops_per_token * tokens / seconds / self._world
        values = {
            "tokens_per_second": tokens / seconds,
            "tflops": flops / 1e12,
            "peak_memory_gib": peak_memory(self._device) / 2**30,
        }
        if self._peak is not None:
            values["mfu"] = flops / self._peak
        return values


def flops_per_token(model: nn.Module, length: int) -> float:
    """Forward and backward, by the usual count: 6 for each weight of a product, and attention's
    12 x layers x width x length, as if each row were one document.
    """
    weights = sum(
        module.weight.numel() for module in model.modules() if isinstance(module, nn.Linear)
    )
    config: Any = getattr(model, "config", None)
    layers = getattr(config, "num_hidden_layers", 0)
    heads = getattr(config, "num_attention_heads", 0)
    width = heads * (getattr(config, "head_dim", None) or 0)
    return 6.0 * weights + 12.0 * layers * (width or getattr(config, "hidden_size", 0)) * length


def peak_flops(device: torch.device) -> float | None:
    """BF16's dense FLOP/s of a known GPU."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak * 1e12 for part, peak in _PEAKS.items() if part in name), None)


def reset_peak_memory(device: torch.device) -> None:
    """Begins anew: what an earlier run of this process had is not this one's."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):  # only Linux has it, and not in every sandbox
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int:
    """The most bytes that this process had since then: of the GPU's memory, else of the host's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with contextlib.suppress(OSError):
        found = re.search(rb"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_bytes())
        if found:
            return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def health_values(report: HealthReport) -> dict[str, float]:
    """The worst of each operand, for the metrics; JSON has no NaN and no infinity."""
    values = {}
    for operand, worst in report.worst.items():
        if math.isfinite(worst.sqnr):
            values[f"fp8_sqnr_{operand}"] = worst.sqnr
            values[f"fp8_to_zero_{operand}"] = worst.underflowed
    return values
