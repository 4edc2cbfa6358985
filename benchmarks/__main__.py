"""`python -m benchmarks`: every benchmark in a process of its own, then the tables and pictures.

Name some (`python -m benchmarks layer casts`) to run only these.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SCRIPTS = (
    "layer", "compiled", "inspection", "casts", "conversion", "import_time", "data_loading", "host",
    "wire",
)  # fmt: skip
# By name only.
SLOW = (
    "quickstart", "host_instructions", "loss_parity", "many_hosts", "numerics", "recipes", "step",
    "trainer",
)  # fmt: skip


def main(names: list[str]) -> int:
    """Runs the scripts; the exit status is the number of those that failed."""
    known = SCRIPTS + SLOW
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no benchmark named {', '.join(unknown)}; there are {', '.join(known)}")
        return 2
    failed = []
    for name in names or SCRIPTS:
        if subprocess.run([sys.executable, str(FOLDER / f"{name}.py")], check=False).returncode:
            failed.append(name)
    report = subprocess.run([sys.executable, str(FOLDER / "report.py")], check=False)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return len(failed) + report.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
