"""Where the documents come from: the Python documentation, a text file, a JSONL file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from float8.train.document import Document
from float8.train.sections import Dataset

# Every tenth topic is kept for validation: whole documents, so that no text is in both splits.
_VALIDATION_STRIDE = 10


def read_documents(document: Document, name: str, dataset: Dataset) -> list[str]:
    """Returns the texts that the section `name` asks for.

    Args:
        document: the configuration, for errors.
        name: the section ("dataset" or "validation_dataset").
        dataset: its values.

    Raises:
        float8.ConfigError: the file is missing, cannot be read, is not UTF-8, is not JSONL with a
            "text" in every line, or holds no text. Each names the key and the file (and line).
    """
    if dataset.file is None:
        texts: Iterator[str] = _python_documentation(dataset.split)
    else:
        key = f"{name}.path" if dataset.path is not None else f"{name}.path_or_dataset"
        texts = _file(document, key, Path(dataset.file))
    limited = list(islice(texts, dataset.num_samples_limit))
    if not any(limited):
        raise document.error(name, "text to train on", f"none in {dataset.file}")
    return limited


def _python_documentation(split: str | None) -> Iterator[str]:
    """The reference texts that every Python carries for its `help()`; about 460 kB of English."""
    from pydoc_data.topics import topics

    # Some texts stand under several names. Each is taken once, or it could be in both splits.
    texts = dict.fromkeys(topics[name] for name in sorted(topics))
    for index, text in enumerate(texts):
        held_out = index % _VALIDATION_STRIDE == 0
        if split is None or held_out == (split == "validation"):
            yield text


def _file(document: Document, key: str, path: Path) -> Iterator[str]:
    try:
        if path.suffix in (".jsonl", ".json"):
            yield from _json_lines(document, key, path)
        else:
            yield path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise document.error(
            key, "a file in UTF-8", f"byte {error.object[error.start]:#04x} in {path}"
        ) from error
    except OSError as error:
        raise document.error(
            key, "a text or JSONL file that can be read", f"{path} ({error.strerror})"
        ) from error


def _json_lines(document: Document, key: str, path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                text = json.loads(line)["text"]
            except (ValueError, TypeError, KeyError, RecursionError):
                text = None
            if not isinstance(text, str):
                raise document.error(
                    key, 'a JSON map with the text "text" in each line', f"{path}:{number}"
                )
            yield text
