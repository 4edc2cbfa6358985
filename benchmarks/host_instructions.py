"""Instructions that the host executes for one call of a 16 x 16 layer's CUDA path.

Counted by callgrind with kernels and GEMMs that do nothing, so it is the same on every run and
needs no GPU: dispatch, autograd, allocations (of torch's CPU allocator) and the launches'
arguments. What the CUDA runtime and torch's CUDA allocator would add is not in it. Beside it, a
bfloat16 at::linear on meta tensors: its dispatch, autograd and results, without launches.
Needs valgrind and the C++ tests' build (`make test-cpp`).
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import ROOT, Results

PROGRAM = ROOT / "build" / "release" / "tests" / "cpp" / "float8_host_path"
LAYERS = ("linear", "tensorwise", "rowwise", "rowwise_with_gw_hp")
PASSES = ("forward", "forward_backward")
CALLS = 100


def count(subject: str, folder: Path) -> tuple[int, Path]:
    """Instructions of one call, and callgrind's file."""
    profile = folder / f"{subject}.callgrind"
    command = ["valgrind", "--tool=callgrind", "--toggle-collect=measured"]
    command += [f"--callgrind-out-file={profile}", str(PROGRAM), subject, str(CALLS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not collected:
        raise SystemExit(done.stderr[-2000:])
    return round(int(collected[1]) / CALLS), profile


def functions(profile: Path) -> list[tuple[int, str, str]]:
    """Every function's own instructions in one call, its name and library; the most first."""
    command = ["callgrind_annotate", "--threshold=100", str(profile)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = re.findall(
        r"^\s*([\d,]+) \([^)]*\)\s+\S*?:(.+?) \[([^\]]+)\]$", text, flags=re.MULTILINE
    )
    return [(int(n.replace(",", "")) // CALLS, name, Path(path).name) for n, name, path in rows]


def by_part(rows: list[tuple[int, str, str]]) -> dict[str, int]:
    """Instructions of one call: torch's, the C library's (allocations), ours."""
    parts = dict.fromkeys(("torch", "libc", "float8"), 0)
    for own, _, library in rows:
        is_torch = library.startswith(("libtorch", "libc10"))
        part = "torch" if is_torch else "float8" if "float8" in library else "libc"
        parts[part] += own
    return parts


def main() -> None:
    """Counts every layer and pass."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--functions", type=int, default=0, help="list so many for each subject")
    arguments = parser.parse_args()
    if not PROGRAM.exists() or not shutil.which("valgrind"):
        sys.exit(f"needs valgrind and {PROGRAM.relative_to(ROOT)} (make test-cpp)")
    results = Results("host_instructions")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for which in PASSES:
            plain, _ = count(f"linear.{which}", folder)
            for layer in LAYERS[1:]:
                instructions, profile = count(f"{layer}.{which}", folder)
                rows = functions(profile)
                results.add(
                    f"{layer:18} {which:16} | {instructions:7,} instructions | "
                    f"{instructions / plain:5.2f}x at::linear on meta",
                    {"recipe": layer, "pass": which},
                    instructions=instructions,
                    at_linear=plain,
                    by_part=by_part(rows),
                )
                for own, function, library in rows[: arguments.functions]:
                    print(f"    {own:6,}  {library:16}  {function[:100]}")


if __name__ == "__main__":
    main()
