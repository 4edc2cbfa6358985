"""Hooks the import of torchao.float8: Python runs this file at its start (see float8.as_torchao).

Every Python process below the command runs it, most of which want no torchao: so nothing heavy is
imported, and float8 only when torchao.float8 is.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder

ROOT = "torchao.float8"


class Finder:
    """Gives the import system float8's modules where it looks for torchao.float8's."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: object = None
    ) -> ModuleSpec | None:
        """Part of the protocol of sys.meta_path."""
        if name != ROOT and not name.startswith(f"{ROOT}."):
            return None
        try:
            from float8.as_torchao.stand_ins import spec_of
        except ImportError as error:
            # A program that catches ImportError must not take the real torchao instead.
            raise ImportError(
                f"[as_torchao] {ROOT} is to be float8, which {sys.executable} cannot import: "
                f"{error}; install float8 for it, or run the program without float8.as_torchao"
            ) from error
        return spec_of(name, path or ())


def run_next_sitecustomize() -> None:
    """Runs the sitecustomize.py that this one, being first on the path, keeps from running."""
    here = os.path.dirname(os.path.abspath(__file__))
    others = [path for path in sys.path if os.path.abspath(path) != here]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


sys.meta_path.insert(0, Finder)
run_next_sitecustomize()
