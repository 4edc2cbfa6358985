"""The command line of float8.as_torchao."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import float8

USAGE = """usage: python -m float8.as_torchao [--] COMMAND [ARGUMENT...]
       python -m float8.as_torchao [--] SCRIPT.py [ARGUMENT...]    (also -m MODULE, -c CODE)

Runs the command, and the processes it starts, with float8 behind torchao.float8's names."""

#: Holds sitecustomize.py, which Python imports at its start from a folder on PYTHONPATH.
ON_PATH = Path(__file__).parent / "on_path"


def main(arguments: list[str]) -> int:
    """Becomes the command that the arguments name; returns only if that is not possible."""
    if arguments[:1] == ["--"]:
        arguments = arguments[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    if importlib.util.find_spec("torchao") is None:
        return fail(
            "torchao must be installed beside float8, got an environment without it (programs ask "
            "for its version, and use more of it than torchao.float8); pip install torchao==0.18.0"
        )
    command = arguments
    if arguments[0].endswith(".py") or arguments[0] in ("-m", "-c"):
        command = [sys.executable, *arguments]
    environment = dict(os.environ)
    others = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    environment["PYTHONPATH"] = os.pathsep.join([str(ON_PATH), *others])
    say(
        f"torchao.float8 is float8 {float8.__version__} ({Path(float8.__file__).parent}) "
        f"in {Path(command[0]).name} and the processes it starts"
    )
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        return fail(f"COMMAND must be a program that can be run, got {command[0]}: {error}")


def say(text: str) -> None:
    """Prints a line to stderr at once: the process may be replaced next."""
    print(f"[as_torchao] {text}", file=sys.stderr, flush=True)


def fail(text: str) -> int:
    """Prints a line to stderr; returns the exit status of a command that could not be run."""
    say(text)
    return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
