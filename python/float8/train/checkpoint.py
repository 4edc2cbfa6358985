"""Checkpoints: written aside, renamed when whole, read without running any code in them.

Layout of one: `step_120/{model,optimizer,trainer}.pt`. They are `torch.save` files read with
`weights_only=True`, and not torch.distributed.checkpoint, because in torch 2.11 that unpickles its
`.metadata` file and non-tensor entries without restriction, and so would run code from a
checkpoint of somebody else's. With one process there is nothing to shard. The state of the
trainer (step, data loader, random numbers) has a file of its own: it stays each rank's when the
other two become shards.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import torch

from float8.train.errors import TrainError

PARTS = ("model", "optimizer", "trainer")
_NAME = re.compile(r"step_(\d+)")


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], keep_last: int) -> Path:
    """Writes `state` (one entry for each of PARTS) as `folder/step_<step>`.

    An interrupted or failed save leaves no folder of that name, and the earlier ones as they were.
    Afterwards only the newest `keep_last` are left.

    Raises:
        OSError: the disk is full, or the folder cannot be written; it names the file.
    """
    final = folder / f"step_{step}"
    aside = folder / f".step_{step}.tmp"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        for part in PARTS:
            with _writer(aside / f"{part}.pt") as file:
                torch.save(state[part], file)
        shutil.rmtree(final, ignore_errors=True)
        aside.rename(final)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    _sync_folder(folder)
    for old in list_checkpoints(folder)[:-keep_last]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def list_checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints in `folder`, the oldest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    return sorted(found, key=step_of)


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written, from its name."""
    match = _NAME.fullmatch(checkpoint.name)
    assert match is not None, checkpoint
    return int(match.group(1))


def load_checkpoint(checkpoint: Path, device: torch.device) -> dict[str, Any]:
    """Reads all parts of a checkpoint, the tensors to `device` (the trainer's to the CPU).

    Raises:
        TrainError: a part is missing, damaged, or holds more than tensors and plain values.
    """
    return {
        part: load_part(checkpoint, part, torch.device("cpu") if part == "trainer" else device)
        for part in PARTS
    }


def load_part(checkpoint: Path, part: str, device: torch.device) -> Any:
    """Reads one part of a checkpoint."""
    path = checkpoint / f"{part}.pt"
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = getattr(error, "strerror", None) or "it is damaged or not a checkpoint"
        raise TrainError(f"cannot read the checkpoint {path}: {reason}") from error


class _RememberingFile:
    """A file that keeps the OSError of a failed write.

    torch's zip writer turns it into a RuntimeError about its own internals, from which nobody can
    tell that the disk is full.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return self.file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self.file.flush()


@contextlib.contextmanager
def _writer(path: Path) -> Iterator[Any]:
    """Opens `path` to be written; on leaving, its data is on the disk. OSErrors name the file."""
    remembering: _RememberingFile | None = None
    try:
        with path.open("wb") as file:
            remembering = _RememberingFile(file)
            yield remembering
            file.flush()
            os.fsync(file.fileno())
    except Exception as error:
        cause = remembering.error if remembering and remembering.error else error
        if isinstance(cause, OSError):
            raise OSError(cause.errno, cause.strerror, str(path)) from error
        raise


def _sync_folder(folder: Path) -> None:
    """Makes the rename itself durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
