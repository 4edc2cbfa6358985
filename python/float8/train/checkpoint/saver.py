"""Checkpoints: written aside by a thread, renamed when every rank is done, read without any code.

Layout of one: `step_120/{model,optimizer}/` (shards.py), `trainer.json` (the step, the settings)
and `rank_0.safetensors`, ... (what no other rank can use: its random numbers).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from pathlib import Path
from typing import Any

import torch

from float8.train.checkpoint.shards import read_shards, write_shards
from float8.train.checkpoint.state import State, copied
from float8.train.errors import TrainError
from float8.train.processes.ranks import Ranks

_NAME = re.compile(r"step_(\d+)")
_TRAINER = "trainer.json"


class Saver:
    """Writes checkpoints of one run while training goes on.

    Args:
        folder: where `step_<n>` go.
        layout: `checkpoint.model_save_format`.
        keep_last: how many are left after each.
        ranks: all of them must call `save` and `wait` at the same steps.
    """

    def __init__(self, folder: Path, layout: str, keep_last: int, ranks: Ranks) -> None:
        self.folder, self.layout, self.keep_last, self.ranks = folder, layout, keep_last, ranks
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def save(
        self, step: int, model: State, optimizer: State, local: State, trainer: dict[str, Any]
    ) -> Path:
        """Copies the state to host memory and begins to write it; returns where it will be.

        Args:
            step: after which it is taken.
            model: all ranks' part of the weights.
            optimizer: likewise.
            local: this rank's own tensors.
            trainer: plain values, the same on all ranks.

        Raises:
            OSError: the save before this one failed; see `wait`.
        """
        self.wait()
        parts = {"model": copied(model), "optimizer": copied(optimizer)}
        work = (step, parts, copied(local), trainer)
        # A daemon: a rank that fails must not wait at its end for the others to write.
        self._thread = threading.Thread(target=self._run, args=work, daemon=True)
        self._thread.start()
        return self.folder / f"step_{step}"

    def wait(self) -> None:
        """Returns when what was begun is on the disk under its name.

        Raises:
            OSError: the disk is full, or the folder cannot be written; the earlier ones are left.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def check(self) -> None:
        """Raises what `wait` would raise, but does not wait."""
        if self._error is not None:
            self.wait()

    def settle(self, seconds: float | None) -> None:
        """Gives the save under way so much time, whatever comes of it: another error is on its way.

        Args:
            seconds: None: as long as it takes.
        """
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self, *work: Any) -> None:
        try:
            self._write(*work)
        except BaseException as error:
            self._error = error

    def _write(
        self, step: int, parts: dict[str, State], local: State, trainer: dict[str, Any]
    ) -> None:
        final, aside = self.folder / f"step_{step}", self.folder / f".step_{step}.tmp"
        try:
            self._together(lambda: _make_empty(aside, parts) if self.ranks.main else None)
            for name, state in parts.items():
                write_shards(aside / name, state, self.layout, self.ranks.background)
            self._together(lambda: self._write_own(aside, local, trainer))
            if self.ranks.main:
                shutil.rmtree(final, ignore_errors=True)
                aside.rename(final)
                _sync_folder(self.folder)
                for old in list_checkpoints(self.folder)[: -self.keep_last]:
                    shutil.rmtree(old, ignore_errors=True)
        except BaseException:
            if self.ranks.main:
                shutil.rmtree(aside, ignore_errors=True)
            raise

    def _together(self, act: Any) -> None:
        """Acts on each rank; an error on any of them is one on all, so that none waits."""
        failed: OSError | None = None
        try:
            act()
        except OSError as error:
            failed = error
        errors = self.ranks.gather(failed and (failed.errno, failed.strerror, failed.filename))
        for first in errors:
            if first is not None:
                raise OSError(*first)

    def _write_own(self, folder: Path, local: State, trainer: dict[str, Any]) -> None:
        from safetensors.torch import save

        _write_file(folder / f"rank_{self.ranks.rank}.safetensors", save(local))
        if self.ranks.main:
            text = json.dumps({**trainer, "world": self.ranks.world}, indent=1)
            _write_file(folder / _TRAINER, text.encode())
            _sync_folder(folder)


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


def load_trainer(checkpoint: Path) -> dict[str, Any]:
    """The plain values of a checkpoint.

    Raises:
        TrainError: missing or damaged.
    """
    path = checkpoint / _TRAINER
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values["settings"], dict) or not isinstance(values["world"], int):
            raise ValueError
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _unreadable(path, error) from error
    return dict(values)


def load_state(checkpoint: Path, model: State, optimizer: State, ranks: Ranks) -> None:
    """Reads a checkpoint into the tensors of `model` and `optimizer`.

    Raises:
        TrainError: a part is missing, damaged or another model's.
    """
    for name, state in (("model", model), ("optimizer", optimizer)):
        read_shards(checkpoint / name, state, ranks.background)


def load_local(checkpoint: Path, rank: int) -> State:
    """What rank `rank` kept for itself.

    Raises:
        TrainError: missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = checkpoint / f"rank_{rank}.safetensors"
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> TrainError:
    reason = getattr(error, "strerror", None) or "it is damaged or not a checkpoint"
    if isinstance(error, FileNotFoundError):
        reason = "No such file"
    return TrainError(f"cannot read the checkpoint {path}: {reason}")


def _make_empty(aside: Path, parts: dict[str, State]) -> None:
    shutil.rmtree(aside, ignore_errors=True)
    for name in parts:
        (aside / name).mkdir(parents=True)


def _write_file(path: Path, data: bytes) -> None:
    """Writes and syncs; an OSError names the file."""
    try:
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _sync_folder(folder: Path) -> None:
    """Makes the names in it durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def random_state(device: torch.device) -> State:
    """This rank's random generators."""
    state = {"random": torch.get_rng_state()}
    if device.type == "cuda":
        state["random_cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random(state: State, device: torch.device) -> None:
    """Puts them back; another device's are left out."""
    torch.set_rng_state(state["random"])
    if device.type == "cuda" and "random_cuda" in state:
        torch.cuda.set_rng_state(state["random_cuda"], device)
