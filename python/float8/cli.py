"""The command `float8`: train, plan, env.

Parsed by hand and not by argparse, since every key of a configuration is an option too, and the
configuration's own reader knows them better: it names the nearest one for a typo.
"""

from __future__ import annotations

import errno
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field

_HELP = """\
usage: float8 COMMAND [CONFIG.yaml] [options] [--KEY VALUE ...]

commands
  train CONFIG.yaml   train as the file says; where it asks for it, BF16 first, then FP8
  plan CONFIG.yaml    show which layers would be converted to FP8, and why not the others
  env                 show versions, devices, and what is missing

options
  --resume            (train) go on from the newest checkpoint of the run
  --debug             show the traceback of an error
  --help              this text
  --KEY VALUE         set any key of the file: --fp8.recipe_name rowwise --optimizer.lr 1e-3
"""
_FLAGS = ("resume", "debug", "help")
_COMMANDS = ("train", "plan", "env")

_FAILURE, _USAGE, _INTERRUPTED = 1, 2, 130


class UsageError(Exception):
    """A command line that cannot be understood."""


@dataclass
class Arguments:
    """A parsed command line."""

    command: str
    files: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    overrides: list[tuple[str, str]] = field(default_factory=list)


def parse(words: Sequence[str]) -> Arguments:
    """Splits a command line into its command, files, flags and (key, value) pairs.

    Hyphens in a key are underscores (`--bf16-baseline false`); `--key=value` works too.

    Raises:
        UsageError: no such command, a key without a value, or too many files.
    """
    queue = list(words)
    if not queue or queue[0] in ("--help", "-h", "help"):
        return Arguments("help")
    parsed = Arguments(queue.pop(0))
    if parsed.command not in _COMMANDS:
        raise UsageError(f"no command '{parsed.command}'; the commands are {', '.join(_COMMANDS)}")
    while queue:
        word = queue.pop(0)
        name, has_value, value = word.removeprefix("--").partition("=")
        if word == "-h" or (word.startswith("--") and name in _FLAGS and not has_value):
            parsed.flags.add("help" if word == "-h" else name)
        elif word.startswith("--") and name:
            if not has_value:
                if not queue or queue[0].startswith("--"):
                    raise UsageError(_without_value(name))
                value = queue.pop(0)
            parsed.overrides.append((name.replace("-", "_"), value))
        elif word.startswith("-"):
            raise UsageError(f"no option '{word}'; keys are set by --KEY VALUE")
        else:
            parsed.files.append(word)
    wanted = 0 if parsed.command == "env" else 1
    if "help" not in parsed.flags and len(parsed.files) != wanted:
        what = "one CONFIG.yaml" if wanted else "no file"
        raise UsageError(f"float8 {parsed.command} takes {what}, got {parsed.files or 'none'}")
    return parsed


def _without_value(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, _FLAGS, n=1)
    hint = f"; nearest option: --{near[0]}" if near else ""
    return f"--{name} needs a value after it{hint}"


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit status.

    0 done; 1 failed; 2 a wrong command line or configuration; 130 interrupted.
    """
    words = sys.argv[1:] if words is None else words
    debug = "--debug" in words
    try:
        _run(parse(words))
    except BrokenPipeError:
        # The reader (`| head`) went away, which is no failure; nor is the flush at exit.
        sys.stderr.close()
    except (KeyboardInterrupt, Exception) as error:
        status, text = _explain(error)
        if debug:
            traceback.print_exc()
        print(f"float8: {text}", file=sys.stderr)
        return status
    return 0


def _run(arguments: Arguments) -> None:
    if arguments.command == "help" or "help" in arguments.flags:
        print(_HELP, end="")
        return
    if arguments.command == "env":
        from float8.env import show_environment

        show_environment()
        return
    from float8.train.settings import load_settings

    settings = load_settings(arguments.files[0], arguments.overrides)
    if arguments.command == "plan":
        from float8.train.plan import plan_command

        plan_command(settings)
    else:
        from float8.train.command import train_command

        train_command(settings, resume="resume" in arguments.flags)


def _explain(error: BaseException) -> tuple[int, str]:
    """The exit status for an error, and one clear line about it."""
    import torch

    import float8
    from float8.train.errors import RunStoppedError, TrainError

    if isinstance(error, (RunStoppedError, KeyboardInterrupt)):
        return _INTERRUPTED, str(error) or "interrupted"
    if isinstance(error, UsageError):
        return _USAGE, f"{error}; see float8 --help"
    if isinstance(error, float8.ConfigError):
        return _USAGE, f"error: {error}"
    if isinstance(error, TrainError):
        return _FAILURE, f"error: {error}"
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        more = "; free some space, then go on with --resume" if error.errno == errno.ENOSPC else ""
        return _FAILURE, f"error: {error.strerror}{where}{more}"
    if isinstance(error, ModuleNotFoundError):
        return _FAILURE, f"error: needs the package {error.name}: pip install 'float8[train]'"
    if isinstance(error, torch.OutOfMemoryError):
        return _FAILURE, (
            "error: out of device memory; lower step_scheduler.local_batch_size or "
            "packed_sequence.packed_sequence_size"
        )
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    name = type(error).__name__
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        return _FAILURE, f"error: torch.compile failed ({name}: {first}); --compile.enabled false"
    return _FAILURE, f"error: unexpected {name}: {first}; --debug shows where"


if __name__ == "__main__":
    sys.exit(main())
