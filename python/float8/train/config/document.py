"""One configuration file: its values, where each one stands, and errors that say so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import float8
from float8 import _C

Override = tuple[str, str]
_NO_LINE = -1
_COMMAND_LINE = 0


@dataclass(frozen=True)
class Document:
    """A whole configuration file as plain values.

    Attributes:
        path: the file.
        tree: nested dict / list / str / int / float / bool / None.
        lines: dotted key ("optimizer.lr") -> line number; 0: the command line.
    """

    path: str
    tree: dict[str, Any]
    lines: dict[str, int]

    def error(
        self, key: str, expected: str, found: str, candidates: Iterable[str] = ()
    ) -> float8.ConfigError:
        """Returns (does not raise) the error about `key` in the format of all such errors.

        The nearest of `candidates` to the text between backquotes in `found` is named, or all of
        them where none is near.
        """
        return float8.ConfigError(
            _C.config_error_message(
                self.path, self._line(key), key, expected, found, list(candidates)
            )
        )

    def from_command_line(self, key: str) -> bool:
        """Whether `key`, or the section that it came with, was set there and not in the file."""
        return self._line(key) == _COMMAND_LINE

    def _line(self, key: str) -> int:
        """The line of `key`, else that of the nearest section around it, else none."""
        while key:
            if key in self.lines:
                return self.lines[key]
            key = key.rpartition(".")[0]
        return _NO_LINE


def load_document(path: str, overrides: Sequence[Override] = ()) -> Document:
    """Reads `path` with the C++ loader, which enforces every limit on size and form.

    Args:
        path: a YAML file.
        overrides: (dotted key, YAML text) pairs that win over the file.

    Raises:
        FileNotFoundError: there is no such file.
        float8.ConfigError: it is not a YAML map, or breaks one of the loader's limits.
    """
    tree, lines = _C.load_document(path, list(overrides))
    return Document(path, tree, lines)
