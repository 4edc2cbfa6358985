"""Data sets of the Hugging Face hub, by the package `datasets`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from float8.train.config.document import Document
from float8.train.config.sections import Dataset
from float8.train.data.rows import Row, Source
from float8.train.words import kind_and_line

_LOCAL = "a local file, or a folder with train.jsonl and validation.jsonl (or .parquet)"


def hub_source(document: Document, key: str, dataset: Dataset) -> Source:
    """The rows of a hub data set. `datasets` runs no code of a data set's own (since its 4.0).

    Raises:
        float8.ConfigError: `datasets` is not installed, the hub cannot be reached, or it has no
            such data set or split.
    """
    name = dataset.file
    try:
        from datasets import load_dataset  # type: ignore[import-not-found]
    except ModuleNotFoundError as error:
        raise document.error(
            key,
            f"{_LOCAL}; for a data set of the hub, pip install 'float8[data]'",
            f"`{name}`, which is no local file",
        ) from error
    try:
        rows: Any = load_dataset(name, split=dataset.split or "train")
    except Exception as error:  # its own types, the hub's, and those of three network libraries
        raise document.error(
            key,
            f"a data set and split of the hub, where that can be reached, or {_LOCAL}",
            f"`{name}`, split {dataset.split or 'train'} ({kind_and_line(error)})",
        ) from error

    def read() -> Iterator[Row]:
        for number, columns in enumerate(rows):
            yield Row(f"{name}: row {number}", columns)

    return Source(str(name), f"hub {name} {rows._fingerprint}", read)
