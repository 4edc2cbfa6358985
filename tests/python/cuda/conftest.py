"""Tests that need a GPU with FP8: what the host's stand-ins for CUDA and cuBLASLt cannot show.

Without a GPU they are skipped; FLOAT8_REQUIRE_CUDA=1 promises one, and a skip is then a failure.
FLOAT8_REHEARSE_CUDA=1 runs those that can on the CPU, in emulation, to test the tests themselves.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest
import torch


@dataclass(frozen=True)
class Device:
    """Where a test runs."""

    name: str

    @property
    def emulate(self) -> bool:
        """A rehearsal has no FP8 products."""
        return self.name == "cpu"


@pytest.fixture
def device() -> Device:
    """The GPU; in a rehearsal the CPU."""
    if torch.cuda.is_available():
        return Device("cuda")
    if os.environ.get("FLOAT8_REQUIRE_CUDA") == "1":
        pytest.fail("FLOAT8_REQUIRE_CUDA=1 promised a GPU, and torch sees none")
    if os.environ.get("FLOAT8_REHEARSE_CUDA") == "1":
        return Device("cpu")
    pytest.skip("torch sees no GPU")


@pytest.fixture
def gpu(device: Device) -> Device:
    """The GPU, for what no CPU can rehearse."""
    if device.emulate:
        pytest.skip("a CPU cannot rehearse this")
    return device
