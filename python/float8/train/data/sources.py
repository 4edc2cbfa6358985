"""Where rows come from: files, folders of files, the hub, Python's own documentation.

A source gives rows as maps, each with the place it stands at, and a fingerprint of all of them.
What a row must hold is the business of text.py.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from float8.train.config.document import Document
from float8.train.config.sections import Dataset
from float8.train.data.hub_dataset import hub_source
from float8.train.data.rows import Row, Source
from float8.train.hub import is_hub_name

# Every tenth topic is kept for validation: whole documents, so that no text is in both splits.
_VALIDATION_STRIDE = 10
_ROW_FILES = (".jsonl", ".json", ".parquet")


def find_source(document: Document, section: str, dataset: Dataset) -> Source:
    """Finds the rows that a section asks for, without reading them as rows yet.

    Raises:
        float8.ConfigError: there is no such file, folder or split, or the hub cannot be reached.
            The error names the key, and how to go on with local files.
    """
    if dataset.file is None:
        texts = _python_documentation(dataset.split)
        whole = hashlib.sha256("\0".join(texts).encode()).hexdigest()
        rows = [Row(f"text {number}", {"text": text}) for number, text in enumerate(texts)]
        return Source("Python's documentation", whole, lambda: iter(rows))
    key = f"{section}.path" if dataset.path is not None else f"{section}.path_or_dataset"
    path = Path(dataset.file)
    if dataset.path is None and is_hub_name(dataset.file):
        return hub_source(document, key, dataset)
    try:
        files = _split_files(document, key, path, dataset) if path.is_dir() else [path]
        digest = hashlib.sha256()
        for file in files:
            with file.open("rb") as data:
                digest.update(f"{file.suffix}\0".encode())
                while block := data.read(1 << 20):
                    digest.update(block)
    except OSError as error:
        raise document.error(
            key, "a file or folder that can be read", f"{error.filename} ({error.strerror})"
        ) from error

    def read() -> Iterator[Row]:
        for file in files:
            yield from _file_rows(document, key, file)

    return Source(str(path), digest.hexdigest(), read)


def _python_documentation(split: str | None) -> list[str]:
    """The reference texts that every Python carries for its `help()`; about 460 kB of English."""
    from pydoc_data.topics import topics

    # Some texts stand under several names. Each is taken once, or it could be in both splits.
    texts = dict.fromkeys(topics[name] for name in sorted(topics))
    return [
        text
        for index, text in enumerate(texts)
        if split is None or (index % _VALIDATION_STRIDE == 0) == (split == "validation")
    ]


def _split_files(document: Document, key: str, folder: Path, dataset: Dataset) -> list[Path]:
    """The files of one split, as the hub's folders and HellaSwag's own archive name them."""
    files = sorted(
        file
        for place in (folder, folder / "data")
        if place.is_dir()
        for file in place.iterdir()
        if file.suffix in _ROW_FILES and file.is_file()
    )
    split = dataset.split
    names = [split, "val"] if split == "validation" else [split]
    found = [
        file
        for file in files
        if split is None or set(file.stem.replace("-", "_").split("_")) & set(names)
    ]
    kinds = {file.suffix for file in found}
    if len(kinds) == 1:
        return found
    what = f"JSONL or Parquet files of the split {split}" if split else "JSONL or Parquet files"
    there = ", ".join(file.name for file in files[:8]) or "no such files"
    raise document.error(key, f"a folder with {what}, all of one kind", f"{folder} with {there}")


def _file_rows(document: Document, key: str, path: Path) -> Iterator[Row]:
    try:
        if path.suffix in (".jsonl", ".json"):
            yield from _json_lines(path)
        elif path.suffix == ".parquet":
            yield from _parquet_rows(document, key, path)
        else:
            yield Row(str(path), {"text": path.read_text(encoding="utf-8")})
    except UnicodeDecodeError as error:
        raise document.error(
            key, "a file in UTF-8", f"byte {error.object[error.start]:#04x} in {path}"
        ) from error
    except OSError as error:
        raise document.error(
            key, "a file that can be read", f"{path} ({error.strerror or error})"
        ) from error


def _json_lines(path: Path) -> Iterator[Row]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            try:
                columns = json.loads(line.decode("utf-8"))
            except (ValueError, RecursionError) as error:
                kind = "UTF-8" if isinstance(error, UnicodeDecodeError) else "JSON"
                yield Row(where, None, f"no {kind}")
                continue
            if isinstance(columns, dict):
                yield Row(where, columns)
            else:
                yield Row(where, None, "no JSON map")


def _parquet_rows(document: Document, key: str, path: Path) -> Iterator[Row]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError as error:
        raise document.error(
            key,
            "the package pyarrow for a Parquet file (pip install 'float8[data]'), or JSONL",
            str(path),
        ) from error
    number = 0
    try:
        for batch in ParquetFile(path).iter_batches():
            for columns in batch.to_pylist():
                number += 1
                yield Row(f"{path}: row {number}", columns)
    except ArrowException as error:
        raise document.error(key, "a Parquet file", f"{path} ({str(error).strip()})") from error
