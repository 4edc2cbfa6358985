"""Checks one section of a configuration against a dataclass and fills it in.

The dataclasses in settings.py are the only description of the keys: their names, types,
defaults and, by `key(...)`, their limits. So a key cannot be read without being checked.
"""

from __future__ import annotations

import dataclasses
import operator
import types
import typing
from typing import Any, TypeVar

from float8.train.config.document import Document

Section = TypeVar("Section")


def key(
    default: Any,
    *,
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    above: float | None = None,
    below: float | None = None,
    aliases: dict[str, str] | None = None,
) -> Any:
    """A field with limits: one of `choices`, `>= minimum`, `> above`, `< below`.

    `aliases` are other words for some values: the reference's for the one meant.
    """
    limits = {"choices": choices, "minimum": minimum, "above": above, "below": below}
    return dataclasses.field(default=default, metadata=limits | {"aliases": aliases or {}})


def shorthand(name: str) -> dict[str, str]:
    """For a field that is a dataclass itself: a string in its place stands for its key `name`."""
    return {"shorthand": name}


def read_section(document: Document, name: str, section: type[Section]) -> Section:
    """Returns `section` filled from the map `name` of the document (absent: all defaults).

    Raises:
        float8.ConfigError: an unknown key, a wrong type or a value out of its limits.
    """
    tree = document.tree.get(name)
    return _read_map(document, name, {} if tree is None else tree, section)


def _read_map(document: Document, name: str, tree: Any, section: type[Section]) -> Section:
    if not isinstance(tree, dict):
        raise document.error(name, "a map of keys", describe(tree))
    fields = {field.name: field for field in dataclasses.fields(section)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(section)
    values = {}
    for child, value in tree.items():
        dotted = f"{name}.{child}"
        if child not in fields:
            raise document.error(dotted, f"a key of {name}", f"`{child}`", fields)
        metadata = fields[child].metadata
        if "shorthand" in metadata:
            whole = {metadata["shorthand"]: value} if isinstance(value, str) else value or {}
            values[child] = _read_map(document, dotted, whole, hints[child])
            continue
        if isinstance(value, str):
            value = metadata.get("aliases", {}).get(value, value)
        values[child] = _read_value(document, dotted, value, hints[child])
        _check_limits(document, dotted, values[child], metadata)
    return section(**values)


def read_scalar(document: Document, name: str, expected: type, default: Any) -> Any:
    """Returns the top-level scalar `name`, checked, or `default` where it is absent."""
    if name not in document.tree:
        return default
    hint = expected if default is not None else expected | None
    return _read_value(document, name, document.tree[name], hint)


def describe(value: Any) -> str:
    """A value in an error's words, which are the C++ reader's: "the string `yes`", "a list"."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the string `{value}`"
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list):
        return "a list"
    return f"the {'integer' if isinstance(value, int) else 'number'} {value}"


def _read_value(document: Document, dotted: str, value: Any, hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        # Only `X | None` is used. The reference's files also write the word none for null.
        inner = next(arg for arg in typing.get_args(hint) if arg is not type(None))
        if value is None or (value == "none" and inner is not str):
            return None
        hint = inner
    origin = typing.get_origin(hint) or hint
    if origin is tuple:
        wanted = typing.get_args(hint)
        if not isinstance(value, list) or len(value) != len(wanted):
            raise document.error(dotted, f"a list of {len(wanted)} numbers", describe(value))
        pairs = enumerate(zip(value, wanted, strict=True))
        return tuple(_read_value(document, f"{dotted}.{i}", v, w) for i, (v, w) in pairs)
    if origin is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # bool is a subclass of int in Python, so the exact type is what counts.
    if type(value) is not origin:
        raise document.error(dotted, _kind(origin), describe(value))
    return value


def _kind(kind: type) -> str:
    names = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}
    return names.get(kind, "a map of keys")


def _check_limits(document: Document, dotted: str, value: Any, limits: Any) -> None:
    if value is None or not limits:
        return
    if limits["choices"] and value not in limits["choices"]:
        expected = "one of " + ", ".join(limits["choices"])
        raise document.error(dotted, expected, describe(value), limits["choices"])
    for number in value if isinstance(value, tuple) else (value,):
        # Written so that a NaN breaks every limit.
        for limit, sign, within in (
            ("minimum", "at least", operator.ge),
            ("above", "more than", operator.gt),
            ("below", "less than", operator.lt),
        ):
            bound = limits[limit]
            if bound is not None and not within(number, bound):
                raise document.error(dotted, f"{sign} {bound:g}", describe(number))
