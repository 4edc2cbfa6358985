"""Starts python -m float8.as_torchao, for the tests of what it does."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def run(*arguments, check=True, cwd=None, path=None):
    """Runs the command line to its end, with a folder in front of PYTHONPATH."""
    folders = [*([str(path)] if path else []), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-m", "float8.as_torchao", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, folders))},
        capture_output=True,
        text=True,
        check=check,
    )
