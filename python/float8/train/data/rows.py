"""A row of a data set, and where rows come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One row: where it stands, and its columns, or what is wrong with it."""

    where: str
    columns: dict[str, Any] | None
    problem: str = ""


@dataclass(frozen=True)
class Source:
    """Rows that can be read, and a fingerprint that changes whenever they do."""

    name: str
    fingerprint: str
    rows: Callable[[], Iterator[Row]]
