"""The command `float8`: train, plan, compare, env.

Parsed by hand and not by argparse, since every key of a configuration is an option too, and the
configuration's own reader knows them better: it names the nearest one for a typo.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_HELP = """\
usage: float8 COMMAND [CONFIG.yaml] [options] [--KEY VALUE ...]

commands
  train CONFIG.yaml   train as the file says; where it asks for it, BF16 first, then FP8
  plan CONFIG.yaml    show which layers would be converted to FP8, and why not the others; what a
                      process would hold in memory and send; needs no GPU and no weights
  compare RUN RUN ... loss curves of runs in one picture, speed and memory side by side; runs that
                      differ in their seed alone get one name: fp8=RUN fp8=RUN bf16=RUN bf16=RUN
  env                 show versions, devices, and what is missing

options
  --nproc-per-node N  (train) so many processes here, sharded by FSDP2; gpu: one for each GPU
                      (plan) processes on each node
  --nnodes N          (plan) so many nodes
  --picture FILE.png  (compare) where the picture goes; compare.png
  --resume            (train) go on from the newest checkpoint of the run
  --on-nan continue   (train) leave out a step whose loss is not finite, instead of stopping
  --trust-remote-code run code that comes with the model, if model.trust_remote_code is true
  --debug             show the traceback of an error
  --help              this text
  --KEY VALUE         set any key of the file: --fp8.recipe_name rowwise --optimizer.lr 1e-3
"""
_FLAGS = ("resume", "trust-remote-code", "debug", "help")
_OPTIONS = ("nproc_per_node", "nnodes", "on_nan", "picture")
_COMMANDS = ("train", "plan", "compare", "env")

_FAILURE, _USAGE, _INTERRUPTED = 1, 2, 130
_ADVICE = {
    errno.ENOSPC: "; free some space, then go on with --resume",
    errno.EROFS: "; --output_dir and --checkpoint.checkpoint_dir name other folders",
}


class UsageError(Exception):
    """A command line that cannot be understood."""


@dataclass
class Arguments:
    """A parsed command line."""

    command: str
    files: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    options: dict[str, str] = field(default_factory=dict)
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
            name = name.replace("-", "_")
            if name in _OPTIONS:
                parsed.options[name] = value
            else:
                parsed.overrides.append((name, value))
        elif word.startswith("-"):
            raise UsageError(f"no option '{word}'; keys are set by --KEY VALUE")
        else:
            parsed.files.append(word)
    wanted = 0 if parsed.command == "env" else 1
    if parsed.command == "compare":
        if parsed.overrides:
            raise UsageError(f"float8 compare knows no --{parsed.overrides[0][0]}")
        return parsed
    if "help" not in parsed.flags and len(parsed.files) != wanted:
        what = "one CONFIG.yaml" if wanted else "no file"
        raise UsageError(f"float8 {parsed.command} takes {what}, got {parsed.files or 'none'}")
    return parsed


def _without_value(name: str) -> str:
    import difflib

    options = [option.replace("_", "-") for option in _OPTIONS]
    near = difflib.get_close_matches(name, (*_FLAGS, *options), n=1)
    hint = f"; nearest option: --{near[0]}" if near else ""
    return f"--{name} needs a value after it{hint}"


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit status.

    0 done; 1 failed; 2 a wrong command line or configuration; 130 interrupted.
    """
    words = sys.argv[1:] if words is None else words
    debug = "--debug" in words
    try:
        _run(parse(words), words)
    except BrokenPipeError:
        # The reader (`| head`) went away, which is no failure; nor is the flush at exit.
        sys.stderr.close()
    except (KeyboardInterrupt, Exception) as error:
        status, text = _explain(error)
        if debug:
            traceback.print_exc()
        _tell(status, text, traceback.format_exc() if debug else None)
        return status
    return 0


def _tell(status: int, text: str, trace: str | None) -> None:
    """Prints the error; one of several processes leaves it to the one that started them."""
    from float8.train.processes import launch
    from float8.train.processes.ranks import world_size

    if launch.is_worker():
        launch.leave_error(status, text, status == _USAGE, trace)
    else:
        print(f"float8: {text}", file=sys.stderr)
    if world_size() > 1:
        # At once: at an orderly exit torch waits for processes that may not be there any more.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run(arguments: Arguments, words: Sequence[str]) -> None:
    if arguments.command == "help" or "help" in arguments.flags:
        print(_HELP, end="")
        return
    if arguments.command == "env":
        from float8.env import show_environment

        show_environment()
        return
    if arguments.command == "compare":
        from float8.train.compare import compare_command

        compare_command(arguments.files, Path(arguments.options.get("picture", "compare.png")))
        return
    from float8.train.config.settings import load_settings

    settings = load_settings(
        arguments.files[0], arguments.overrides, "trust-remote-code" in arguments.flags
    )
    if arguments.command == "plan":
        from float8.train.plan import plan_command

        plan_command(settings, _processes(arguments), _number(arguments, "nnodes"))
        return
    if _number(arguments, "nnodes") > 1:
        raise UsageError("--nnodes is for plan; several nodes train under torchrun or Slurm")
    skip_nan = _choice(arguments, "on_nan", ("stop", "continue")) == "continue"
    processes = _processes(arguments)
    if processes > 1:
        from float8.train.processes.launch import launch
        from float8.train.processes.ranks import check_world

        check_world(settings, processes)
        launch(_without_option(words, "nproc-per-node"), processes)
        return
    from float8.train.command import train_command
    from float8.train.processes.launch import end_with_launcher

    end_with_launcher()
    train_command(settings, resume="resume" in arguments.flags, skip_nan=skip_nan)


def _choice(arguments: Arguments, name: str, choices: tuple[str, ...]) -> str:
    value = arguments.options.get(name, choices[0])
    if value not in choices:
        raise UsageError(f"--{name.replace('_', '-')} takes {' or '.join(choices)}, got {value!r}")
    return value


def _processes(arguments: Arguments) -> int:
    value = arguments.options.get("nproc_per_node", "1")
    if value == "gpu":
        import torch

        return max(1, torch.cuda.device_count())
    if not _is_positive(value):
        raise UsageError(f"--nproc-per-node takes a number of processes or gpu, got {value!r}")
    return int(value)


def _number(arguments: Arguments, name: str) -> int:
    value = arguments.options.get(name, "1")
    if not _is_positive(value):
        raise UsageError(f"--{name} takes a number from 1, got {value!r}")
    return int(value)


def _is_positive(value: str) -> bool:
    return value.isascii() and value.isdigit() and int(value) > 0


def _without_option(words: Sequence[str], name: str) -> list[str]:
    left, skip = [], False
    for word in words:
        option = word.removeprefix("--").replace("_", "-")
        if skip:
            skip = False
        elif word.startswith("--") and option.partition("=")[0] == name:
            skip = "=" not in word
        else:
            left.append(word)
    return left


def _explain(error: BaseException) -> tuple[int, str]:
    """The exit status for an error, and one clear line about it."""

    import float8
    from float8.train.errors import RunStoppedError, TrainError, WorkerError

    if isinstance(error, WorkerError):
        return error.status, str(error)
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
        return _FAILURE, f"error: {error.strerror}{where}{_ADVICE.get(error.errno or 0, '')}"
    if isinstance(error, ModuleNotFoundError):
        return _FAILURE, f"error: needs the package {error.name}: pip install 'float8[train]'"
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    name = type(error).__name__
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        return _FAILURE, f"error: torch.compile failed ({name}: {first}); --compile.enabled false"
    return _FAILURE, f"error: unexpected {name}: {first}; --debug shows where"


if __name__ == "__main__":
    sys.exit(main())
