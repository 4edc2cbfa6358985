"""The folder of a run: one process at a time, and an earlier run in it is never overwritten."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from float8.train.config.settings import Settings
from float8.train.console import View
from float8.train.errors import TrainError
from float8.train.words import size_words

_RESULTS = ("bf16", "fp8")


@contextmanager
def run_folder(settings: Settings, resume: bool, view: View) -> Iterator[Path]:
    """Makes the run's folder ready and keeps other processes out of it while entered.

    Without `resume`, what an earlier run left there moves to `<folder>.1`, `.2`, ...

    Raises:
        TrainError: another process trains in this folder, or there is nothing to resume.
        OSError: the folder cannot be made or written.
    """
    folder = settings.output_dir
    if resume and not _occupied(folder):
        raise TrainError(f"nothing to resume in {folder}: no run was started there")
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder.parent / f".{folder.name}.lock"
    with lock.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TrainError(
                f"another process trains in {folder}; wait for it, or set output_dir"
            ) from error
        if not resume and _occupied(folder):
            moved = _free_name(folder)
            folder.rename(moved)
            view.line(f"moved the earlier run to {moved}")
        folder.mkdir(exist_ok=True)
        yield folder


def check_room(settings: Settings, parameters: int) -> None:
    """Tries the folder of the checkpoints, before an earlier run is moved out of the way and time
    is spent on what could not be kept.

    Args:
        settings: where it is, and in which dtype the weights are.
        parameters: how many values one checkpoint has of each kind: the weights and, as a rule, two
            of the optimizer's.

    Raises:
        OSError: the folder cannot be made or written.
        TrainError: the disk has no room for one checkpoint.
    """
    if not settings.checkpoint.enabled:
        return
    folder = settings.checkpoint_dir
    if not folder.is_relative_to(settings.output_dir):
        folder.mkdir(parents=True, exist_ok=True)
    place = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error
    size = 3 * parameters * (4 if settings.model.torch_dtype == "float32" else 2)
    free = shutil.disk_usage(place).free
    if free < size:
        raise TrainError(
            f"a checkpoint takes about {size_words(size)}, and {folder} has {size_words(free)} "
            "left; free some space, or set --checkpoint.checkpoint_dir, or checkpoint.enabled to "
            "false"
        )


def _occupied(folder: Path) -> bool:
    return any((folder / name).exists() for name in _RESULTS)


def _free_name(folder: Path) -> Path:
    number = 1
    while (candidate := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    return candidate
