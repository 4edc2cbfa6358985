"""Sharded tensors on disk by torch.distributed.checkpoint, read without running any code in them.

Two formats, as in the reference. `safetensors` is DCP's Hugging Face storage, which knows no code.
`torch_save` is DCP's own, whose `.metadata` torch 2.11 unpickles without restriction: what a
checkpoint of somebody else's holds there would run. So a file of plain JSON stands beside it, and
only that is read here; `.metadata` is for other tools. The tensors themselves are read with
`weights_only`.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import (
    FileSystemReader,
    FileSystemWriter,
    _StorageInfo,
)
from torch.distributed.checkpoint.hf_storage import (
    HuggingFaceStorageReader,
    HuggingFaceStorageWriter,
)
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from float8.train.checkpoint.state import State
from float8.train.errors import TrainError

FORMATS = ("safetensors", "torch_save")
_INDEX = "index.json"


def write_shards(folder: Path, state: State, layout: str, group: Any) -> None:
    """Writes every rank's part of `state`; returns when all ranks have, with all data on the disk.

    Args:
        folder: exists, and is empty.
        state: flat, on the CPU.
        layout: one of FORMATS.
        group: the ranks, or None in one process.

    Raises:
        OSError: on any rank; it names the folder.
    """
    writer = (
        HuggingFaceStorageWriter(str(folder), save_distributed=True)
        if layout == "safetensors"
        else _Writer(folder)
    )
    try:
        save(state, storage_writer=writer, process_group=group, no_dist=group is None)
    except BaseException as error:
        raise _first_failure(error, folder) from error


def read_shards(folder: Path, state: State, group: Any) -> None:
    """Reads into the tensors of `state` what they need, however it was sharded when written.

    Raises:
        TrainError: a file is missing or damaged, or holds other tensors.
    """
    safe = not (folder / _INDEX).exists()
    reader = HuggingFaceStorageReader(str(folder)) if safe else _Reader(folder)
    try:
        load(state, storage_reader=reader, process_group=group, no_dist=group is None)
    except BaseException as error:
        cause = _first_failure(error, folder)
        if isinstance(cause, (KeyboardInterrupt, MemoryError)):
            raise cause from error
        words = getattr(cause, "strerror", None) or str(cause)
        first = next(iter(words.strip().splitlines()), "it is damaged or not a checkpoint")
        raise TrainError(f"cannot read the checkpoint {folder}: {first}") from error


def _first_failure(error: BaseException, folder: Path) -> BaseException:
    """The error of the rank that failed first, out of DCP's collection of all of them."""
    if isinstance(error, CheckpointException):
        error = next(iter(error.failures.values()))[0]
    seen: BaseException | None = error
    while seen is not None:
        # torch's zip writer hides a full disk behind an error about its own internals.
        if isinstance(seen, OSError) and seen.strerror:
            return OSError(seen.errno, seen.strerror, str(seen.filename or folder))
        seen = seen.__cause__ or seen.__context__
    return error


class _Writer(FileSystemWriter):
    """DCP's own format, and its metadata once more as JSON."""

    def finish(self, metadata: Metadata, results: Any) -> None:
        super().finish(metadata, results)
        chunks: dict[str, list[Any]] = {}
        for written in (one for rank in results for one in rank):
            place = written.storage_data
            offset = list(written.index.offset or ())
            chunks.setdefault(written.index.fqn, []).append(
                [offset, place.relative_path, place.offset, place.length]
            )
        index = {}
        for name, entry in metadata.state_dict_metadata.items():
            assert isinstance(entry, TensorStorageMetadata), name
            sizes = {tuple(chunk.offsets): list(chunk.sizes) for chunk in entry.chunks}
            index[name] = {
                "dtype": str(entry.properties.dtype).removeprefix("torch."),
                "size": list(entry.size),
                "chunks": [[sizes[tuple(chunk[0])], *chunk] for chunk in chunks[name]],
            }
        with (Path(self.path) / _INDEX).open("w", encoding="utf-8") as file:
            json.dump(index, file)


class _Reader(FileSystemReader):
    """Reads that JSON and never `.metadata`."""

    def read_metadata(self, *_: Any, **__: Any) -> Metadata:
        folder = Path(self.path)
        tensors, places = {}, {}
        try:
            index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
            for name, entry in index.items():
                dtype = getattr(torch, entry["dtype"])
                assert isinstance(dtype, torch.dtype)
                chunks = []
                for size, offset, file, start, length in entry["chunks"]:
                    chunks.append(ChunkStorageMetadata(torch.Size(offset), torch.Size(size)))
                    # Only files of this folder, whatever the JSON says.
                    place = _StorageInfo(Path(file).name, int(start), int(length))
                    places[MetadataIndex(name, offset)] = place
                tensors[name] = TensorStorageMetadata(
                    TensorProperties(dtype=dtype), torch.Size(entry["size"]), chunks
                )
        except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{_INDEX} is damaged") from error
        meta = StorageMeta(load_id=self.load_id)
        return Metadata(tensors, storage_data=places, storage_meta=meta)  # type: ignore[arg-type]


# In one process this is what is meant, and DCP says so each time.
warnings.filterwarnings("ignore", message=".*assuming the intent is to (save|load) in a single.*")
