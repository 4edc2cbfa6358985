"""What `import float8` adds to `import torch`, in fresh processes. Goal: under 0.3 s."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable

from harness import Results, alternate

GOALS = {"added_seconds": 0.3}
TORCH = "import time; start = time.perf_counter(); import torch; "
SAY = "print(time.perf_counter() - start)"
PROGRAMS = {
    "torch": TORCH + SAY,
    "torch_and_float8": TORCH + "import float8; " + SAY,
    "float8_after_torch": TORCH + "start = time.perf_counter(); import float8; " + SAY,
}


def program(source: str) -> Callable[[], float]:
    """Runs it in a process of its own; it says its seconds."""

    def run() -> float:
        command = [sys.executable, "-c", source]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    return run


def main() -> None:
    """Starts the processes in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    results = Results("import_time")
    times = alternate(
        {name: program(source) for name, source in PROGRAMS.items()}, arguments.rounds
    )
    added = times["float8_after_torch"]
    results.add(
        f"import float8 | {added.median:5.3f} s on top of torch | "
        f"{times['torch'].median:5.2f} s torch",
        {},
        seconds=times.as_dict(),
        added_seconds=added.as_dict(),
        goals=GOALS,
    )


if __name__ == "__main__":
    main()
