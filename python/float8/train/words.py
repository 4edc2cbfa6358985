"""How things are said in a line: other libraries' errors, lists, sizes."""

from __future__ import annotations

from collections.abc import Sequence


def first_line(error: BaseException) -> str:
    """What an error of another library says first, else its kind."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def kind_and_line(error: BaseException) -> str:
    """The same after its kind, where what it says alone may not tell."""
    kind, line = type(error).__name__, first_line(error)
    return kind if line == kind else f"{kind}: {line}"


def some_of(names: Sequence[str], shown: int = 3) -> str:
    """The first of them, and how many more there are."""
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")


def size_words(size: float) -> str:
    """Bytes in the unit in which people would say them."""
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20)):
        if size >= scale / 10:
            return f"{size / scale:.1f} {unit}"
    return f"{size / 2**10:.1f} KiB"
