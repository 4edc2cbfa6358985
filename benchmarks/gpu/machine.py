"""The GPU that figures come from: its name, sizes, clocks, and the versions of what drives it.

`python -m gpu.machine` prints them as JSON, and fails in words where there is no GPU to measure on.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from typing import Any

import torch

FIRST_WITH_FP8 = (8, 9)
GIB = 2**30
PEERS = ("torchao", "transformers", "triton")
# Field of the record: nvidia-smi's name, and what its text is turned into.
QUERIES: dict[str, tuple[str, type]] = {
    "driver": ("driver_version", str),
    "max_sm_mhz": ("clocks.max.sm", float),
    "max_memory_mhz": ("clocks.max.memory", float),
    "power_limit_w": ("power.limit", float),
}
CLOCKS: dict[str, tuple[str, type]] = {
    "sm_mhz": ("clocks.sm", float),
    "memory_mhz": ("clocks.mem", float),
    "power_w": ("power.draw", float),
    "celsius": ("temperature.gpu", float),
}


def smi(queries: dict[str, tuple[str, type]]) -> dict[str, Any]:
    """What nvidia-smi says of the first GPU; None for what it does not say."""
    fields = ",".join(query for query, _ in queries.values())
    command = ["nvidia-smi", "--id=0", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    try:
        text = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=20
        ).stdout
    except (OSError, subprocess.SubprocessError):
        text = ""
    return parse(queries, text)


def parse(queries: dict[str, tuple[str, type]], text: str) -> dict[str, Any]:
    """One line of nvidia-smi's values, as the queries order them."""
    values = [value.strip() for value in text.strip().split(",")]
    values += [""] * (len(queries) - len(values))
    found: dict[str, Any] = {}
    for (name, (_, kind)), value in zip(queries.items(), values, strict=False):
        try:
            found[name] = kind(value) if value else None
        except ValueError:  # [N/A], [Not Supported]
            found[name] = None
    return found


def clocks() -> dict[str, Any]:
    """The clocks of this moment; called right after a measurement, before they fall."""
    return smi(CLOCKS)


def versions() -> dict[str, str | None]:
    """Of torch's CUDA, of the cuBLASLt it has loaded, and of the peers; None for a missing one."""
    peers: dict[str, str | None] = {}
    for name in PEERS:
        try:
            peers[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            peers[name] = None
    return {"cuda": torch.version.cuda, "cublaslt": cublaslt_version(), **peers}


def cublaslt_version() -> str | None:
    """As `float8 env` finds it; None where float8 is not there yet."""
    try:
        from float8.env import environment
    except ImportError:
        return None
    return dict(environment()).get("cuBLASLt")


def facts() -> dict[str, Any]:
    """What a record says of the GPU. `device` is its name, by which tables are grouped."""
    gpu = torch.cuda.get_device_properties(0)
    return {
        "device": gpu.name,
        "capability": f"{gpu.major}.{gpu.minor}",
        "multiprocessors": gpu.multi_processor_count,
        "l2_mib": round(getattr(gpu, "L2_cache_size", 0) / 2**20, 1),
        "memory_gib": round(gpu.total_memory / GIB, 1),
        **smi(QUERIES),
        **versions(),
    }


def unfit() -> str:
    """Why nothing can be measured here; empty where it can."""
    if not torch.cuda.is_available():
        built = torch.version.cuda or "none: a CPU build"
        return f"torch {torch.__version__} sees no GPU (its CUDA: {built})"
    capability = torch.cuda.get_device_capability(0)
    if capability < FIRST_WITH_FP8:
        name = torch.cuda.get_device_name(0)
        return (
            f"{name} has compute capability {capability[0]}.{capability[1]}; "
            "FP8 products need 8.9 or later"
        )
    return ""


def main() -> int:
    """Prints the facts."""
    if why := unfit():
        print(f"[gpu] needs a GPU with FP8: {why}", file=sys.stderr)
        return 1
    print(json.dumps(facts()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
