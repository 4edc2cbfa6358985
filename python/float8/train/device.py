"""Where a run computes, and whether FP8 works there, found by trying it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

import float8
from float8.train.errors import TrainError

if TYPE_CHECKING:  # `float8 env` comes here too, also where the training packages are missing
    from float8.train.config.settings import Settings
    from float8.train.console import View


def try_fp8(config: float8.Float8LinearConfig, device: torch.device) -> None:
    """Takes one product in FP8, forward and backward.

    Raises:
        TrainError: FP8 does not work there; the operator's own words about the device and what to
            do. Its cause is a NotImplementedError where the library has no code for the device.
    """
    linear = torch.nn.Linear(16, 16, bias=False, device=device, dtype=torch.bfloat16)
    layer = float8.Float8Linear.from_float(linear, config=config)
    try:
        layer(torch.ones(16, 16, dtype=torch.bfloat16, device=device)).sum().backward()
    except (RuntimeError, NotImplementedError) as error:
        raise TrainError(str(error).splitlines()[0]) from error


def choose_device(settings: Settings, view: View, index: int = 0) -> torch.device:
    """The GPU of this number (a process's local rank), else the CPU.

    Emulation runs on the CPU, and a line says so, where this build of the library has no kernels
    for the GPU. Without emulation that is an error: FP8 products were asked for.

    Raises:
        TrainError: FP8 is enabled and does not work there.
    """
    device = torch.device("cuda", index) if torch.cuda.is_available() else torch.device("cpu")
    if not settings.fp8.enabled:
        return device
    config = settings.fp8.linear_config()
    try:
        try_fp8(config, device)
    except TrainError as error:
        emulated = config.emulate and device.type == "cuda"
        if not (emulated and isinstance(error.__cause__, NotImplementedError)):
            raise
        view.line(f"training on the CPU: {error}")
        device = torch.device("cpu")
        try_fp8(config, device)
    return device
