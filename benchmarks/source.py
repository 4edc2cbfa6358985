"""Which sources a figure belongs to, also where there is no git: on a machine that got a copy.

`python benchmarks/source.py FILE` writes the commit and a digest of what is measured; taken along
with the copy, they name its commit, and show where its files differ from it.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CARRIED = Path(".gpu") / "source.json"
MEASURED = ("src", "include", "kernels", "python", "benchmarks", "CMakeLists.txt")
SUFFIXES = {".h", ".cpp", ".cu", ".py", ".in", ".cmake", ".txt"}


def digest(root: Path = ROOT) -> str:
    """A digest of the names and contents of all that is measured."""
    total = hashlib.sha256()
    files = (p for name in MEASURED for p in (root / name, *(root / name).rglob("*")))
    for path in sorted(p for p in files if p.is_file() and p.suffix in SUFFIXES):
        name = path.relative_to(root).as_posix()
        total.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def commit(root: Path = ROOT) -> str:
    """The commit of the sources, `-dirty` where what is measured differs from it."""
    paths = [path if path.endswith(".txt") else f"{path}/*" for path in MEASURED]
    paths += [":!benchmarks/results", ":!*.md"]
    try:
        name = _git(root, "rev-parse", "--short=12", "HEAD")
        changes = _git(root, "status", "--porcelain", "--untracked-files=no", "--", *paths)
    except (OSError, subprocess.CalledProcessError):
        return _carried_commit(root)
    return f"{name}-dirty" if changes else name


def _carried_commit(root: Path) -> str:
    try:
        carried = json.loads((root / CARRIED).read_text(encoding="utf-8"))
        name, expected = str(carried["commit"]), carried["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown"
    if name.endswith("-dirty") or digest(root) == expected:
        return name
    return f"{name}-dirty"


def _git(root: Path, *arguments: str) -> str:
    # A copy inside another repository is none of its files.
    top = subprocess.check_output(
        ["git", "rev-parse", "--show-toplevel"], cwd=root, text=True, stderr=subprocess.DEVNULL
    )
    if Path(top.strip()).resolve() != root.resolve():
        raise OSError("not a repository of its own")
    return subprocess.check_output(["git", *arguments], cwd=root, text=True).strip()


def main() -> None:
    """Writes what a copy needs to know of its origin."""
    carried = {"commit": commit(), "digest": digest()}
    Path(sys.argv[1]).write_text(json.dumps(carried) + "\n", encoding="utf-8")
    print(f"commit {carried['commit']}")


if __name__ == "__main__":
    main()
