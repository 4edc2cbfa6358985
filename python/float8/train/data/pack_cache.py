"""Rows kept on disk: made once, mapped into memory by every process that needs them.

An entry is a folder named by a hash of all that the rows depend on. It is written aside, synced and
renamed, so that a reader sees a whole one or none, and two writers at once do no harm. It is never
changed; deleting the cache's folder is always safe.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from float8.train.data.packing import PackedRows

_FORMAT = 1
_ABANDONED = 24 * 3600.0  # seconds
_TENSORS = {
    "input_ids": torch.int32,
    "position_ids": torch.int32,
    "labels": torch.int32,
    "starts": torch.int64,
}


def cache_folder() -> Path:
    """`$FLOAT8_CACHE_DIR`, else `float8` in the user's cache folder.

    Never a key of a configuration: a file that someone sends must not choose where is written.
    """
    own = os.environ.get("FLOAT8_CACHE_DIR")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "float8"


def kept_packs() -> tuple[int, int]:
    """How many entries there are, and their bytes; what a killed process left half is counted."""
    files = [path for path in (cache_folder() / "packs").rglob("*") if path.is_file()]
    return len({path.parent for path in files}), sum(path.stat().st_size for path in files)


def cached_rows(depends_on: dict[str, Any], make: Callable[[], PackedRows]) -> PackedRows:
    """The rows for `depends_on`: from the cache, else made and put there.

    Args:
        depends_on: everything that the rows are a function of, as plain values.
        make: makes them.

    Returns:
        The rows; where the cache cannot be written, those in memory, and the summary says so.
    """
    text = json.dumps({"format": _FORMAT, **depends_on}, sort_keys=True)
    entry = cache_folder() / "packs" / hashlib.sha256(text.encode()).hexdigest()[:32]
    rows = _read(entry)
    if rows is not None:
        return rows
    rows = make()
    try:
        _write(entry, rows)
    except OSError as error:
        note = f"not kept in {entry.parent} ({error.strerror}), so made again next time"
        return dataclasses.replace(rows, summary=f"{rows.summary}; {note}")
    return _read(entry) or rows


def _read(entry: Path) -> PackedRows | None:
    """Maps an entry; None where there is none, or one that lost some of its bytes."""
    try:
        about = json.loads((entry / "about.json").read_text(encoding="utf-8"))
        tensors = {}
        for name, dtype in _TENSORS.items():
            path, size = entry / name, about["sizes"][name]
            if path.stat().st_size != size * dtype.itemsize:
                return None
            # Private: pages come from the file when they are touched, and a write stays here.
            tensors[name] = torch.from_file(str(path), shared=False, size=size, dtype=dtype)
    except (OSError, ValueError, KeyError):
        return None
    ids, positions, labels, starts = (tensors[name] for name in _TENSORS)
    return PackedRows(
        ids, positions, labels, starts, width=about["width"], summary=about["summary"]
    )


def _write(entry: Path, rows: PackedRows) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    _clear_away(entry.parent)
    aside = Path(tempfile.mkdtemp(prefix=f".{entry.name}.", dir=entry.parent))
    try:
        for name in _TENSORS:
            with (aside / name).open("wb") as file:
                getattr(rows, name).contiguous().numpy().tofile(file)
                os.fsync(file.fileno())
        about = {
            "sizes": {name: getattr(rows, name).numel() for name in _TENSORS},
            "width": rows.width,
            "summary": rows.summary,
        }
        with (aside / "about.json").open("w", encoding="utf-8") as file:
            json.dump(about, file)
            file.flush()
            os.fsync(file.fileno())
        if entry.exists():  # one that could not be read, or another writer's
            with contextlib.suppress(OSError):
                entry.rename(aside / "replaced")
        try:
            aside.rename(entry)
        except OSError:
            if _read(entry) is None:  # else another process was first, with the same rows
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    shutil.rmtree(entry / "replaced", ignore_errors=True)


def _clear_away(folder: Path) -> None:
    """Removes what writers that were killed have left: no pack takes a day to write."""
    with contextlib.suppress(OSError):
        for path in folder.glob(".*"):
            if time.time() - path.stat().st_mtime > _ABANDONED:
                shutil.rmtree(path, ignore_errors=True)
