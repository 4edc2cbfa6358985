"""What a row means: a text to continue, or a prompt and the completion to learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from float8.train.config import targets
from float8.train.config.document import Document
from float8.train.config.sections import Dataset
from float8.train.data.rows import Row, Source
from float8.train.data.sources import find_source
from float8.train.data.tokenizer import Pair

_SHOWN = 5  # malformed rows named one by one


class RowError(ValueError):
    """What is wrong with a row, in a few words."""


@dataclass(frozen=True)
class Texts:
    """The rows of a data set as (prompt, completion) pairs, all of which were looked at once.

    Attributes:
        pairs: reads them once more, so that they need not all be in memory; the prompt is empty
            where all of a text is to be learned.
        count: how many there are.
        prompted: whether any prompt is not empty.
        ends: whether a mark of the end belongs after each.
        malformed: how many rows were left out, and the first few of them by name.
    """

    pairs: Callable[[], Iterator[Pair]]
    count: int
    prompted: bool
    ends: bool
    malformed: int
    named: list[str]


def read_texts(
    document: Document, name: str, dataset: Dataset, source: Source | None = None
) -> Texts:
    """Reads the section `name` ("dataset" or "validation_dataset").

    Raises:
        float8.ConfigError: more than `max_malformed_rows` rows are malformed, or there is no text;
            or what `find_source` raises.
    """
    source = source or find_source(document, name, dataset)
    hellaswag = targets.DATASET.get(dataset._target_ or "") == "hellaswag"
    meaning = _hellaswag if hellaswag else _own
    problems: list[str] = []
    count = malformed = 0
    prompted = completed = False
    for row in source.rows():
        pair, problem = _read(row, meaning)
        if pair is not None:
            count += 1
            prompted, completed = prompted or bool(pair[0]), completed or bool(pair[1])
        else:
            malformed += 1
            problems.append(f"{row.where} ({problem})")
            del problems[_SHOWN:]
            if malformed > dataset.max_malformed_rows:
                raise _too_many(document, name, dataset, malformed, problems)
        if count == dataset.num_samples_limit:
            break
    if not completed:
        raise document.error(name, "text to train on", f"none in {source.name}")

    def pairs() -> Iterator[Pair]:
        good = (pair for row in source.rows() if (pair := _read(row, meaning)[0]) is not None)
        return islice(good, count)

    return Texts(pairs, count, prompted, not hellaswag, malformed, problems)


def _read(row: Row, meaning: Callable[[dict[str, Any]], Pair]) -> tuple[Pair | None, str]:
    if row.columns is None:
        return None, row.problem
    try:
        return meaning(row.columns), ""
    except RowError as error:
        return None, str(error)


def _own(columns: dict[str, Any]) -> Pair:
    """`text`, or `prompt` and `completion`."""
    if "prompt" in columns or "completion" in columns:
        return _string(columns, "prompt"), _string(columns, "completion")
    return "", _string(columns, "text")


def _hellaswag(columns: dict[str, Any]) -> Pair:
    """`ctx`, and of `endings` the one that `label` (a number, or one in digits) says."""
    endings, label = _column(columns, "endings"), _column(columns, "label")
    if not isinstance(endings, list) or not all(isinstance(ending, str) for ending in endings):
        raise RowError("`endings` is no list of strings")
    digits = isinstance(label, str) and label.isascii() and label.isdigit()
    if isinstance(label, bool) or not (isinstance(label, int) or digits):
        raise RowError(f"`label` is no number: {label!r:.40}")
    if not 0 <= int(label) < len(endings):
        raise RowError(f"`label` {label} is not in 0 to {len(endings) - 1}")
    return _string(columns, "ctx"), endings[int(label)]


def _column(columns: dict[str, Any], name: str) -> Any:
    if name not in columns:
        found = ", ".join(f"`{other}`" for other in list(columns)[:8]) or "none"
        raise RowError(f"no column `{name}`; it has {found}")
    return columns[name]


def _string(columns: dict[str, Any], name: str) -> str:
    value = _column(columns, name)
    if not isinstance(value, str):
        raise RowError(f"`{name}` is no string")
    return value


def _too_many(
    document: Document, name: str, dataset: Dataset, malformed: int, problems: list[str]
) -> Exception:
    limit = dataset.max_malformed_rows
    wanted = {
        "hellaswag": "`ctx`, `endings` and `label`",
        "": "`text`, or `prompt` and `completion`",
    }[targets.DATASET.get(dataset._target_ or "", "")]
    allowed = f", or at most {limit} others (max_malformed_rows)" if limit else ""
    return document.error(
        f"{name}.max_malformed_rows" if limit else f"{name}.{dataset.file_key}",
        f"rows with {wanted}{allowed} ({name}.max_malformed_rows leaves some out)",
        "; ".join(problems) + (f" and {malformed - _SHOWN} more" if malformed > _SHOWN else ""),
    )
