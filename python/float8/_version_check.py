"""The check that the torch at run time is the one that libfloat8.so was built for."""

from __future__ import annotations


def check_torch_version(built_for: str, found: str) -> None:
    """Raises ImportError unless `found` has the minor version of torch that `built_for` names.

    torch's C++ interface changes with each minor version; a library that was built for another one
    fails to load with a missing symbol, or crashes later.

    Args:
        built_for: major.minor of the torch that the library was built for, such as "2.11".
        found: the version of the torch that is installed, such as "2.11.0+cu130".
    """
    if found.split("+")[0].split(".")[:2] == built_for.split(".")[:2]:
        return
    raise ImportError(
        f"[float8] needs torch {built_for}, which it was built for, got torch {found}; "
        f"install torch=={built_for}.*, or build float8 again beside torch {found}: "
        "pip install --no-build-isolation --force-reinstall --no-deps ."
    )
