#!/usr/bin/env python3
"""Static checks of the CUDA kernels, from what the compiler made of them. No GPU is needed.

    .ci/cuda_checks.py [build/release]

For each kernel of the library, as built for compute capability 9.0: no spilled registers and no
local memory; 128-bit loads and stores. The kernels compile without warnings for 10.0 too, which
the library holds as PTX only. libfloat8.so stays below 5 MB.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILT_ARCHITECTURES = ("80", "89", "90")
EXTRA_ARCHITECTURE = "100"
MAX_LIBRARY_BYTES = 5 * 2**20

# Every kernel moves its tensors in 16-byte pieces, but for these, each for its reason; and but for
# instances whose last template argument is false: those are for rows that are not 16-byte aligned.
WITHOUT_WIDE_LOADS = {
    "amax_to_scale_kernel": "a handful of values",
}
WITHOUT_WIDE_STORES = {
    "amax_to_scale_kernel": "a handful of values",
    "amax_flat_kernel": "one value for a block",
    "measure_kernel": "one value for a block, a row or a column",
}

WIDE_LOAD = re.compile(r"\bLDG(?:\.\w+)*\.128\b")
WIDE_STORE = re.compile(r"\bSTG(?:\.\w+)*\.128\b")
LOCAL_ACCESS = re.compile(r"\b(?:LDL|STL)(?:\.\w+)*\b")
RESOURCES = re.compile(
    r"Function (\w+):\s+REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)", re.MULTILINE
)


class Kernel:
    """One instance of a kernel: what it uses, and what it does to memory."""

    def __init__(self, registers, stack, shared, local, code):
        self.name = ""
        self.registers = int(registers)
        self.local = int(stack) + int(local)
        self.shared = int(shared)
        self.local_accesses = len(LOCAL_ACCESS.findall(code))
        self.wide_loads = len(WIDE_LOAD.findall(code))
        self.wide_stores = len(WIDE_STORE.findall(code))

    @property
    def base(self):
        """The kernel's name without namespace, template arguments and parameters."""
        return re.search(r"(\w+)(?:<.*)?\(\w", self.name).group(1)

    @property
    def unaligned(self):
        return ", false>(" in self.name or "<false>(" in self.name

    def violations(self):
        if self.local or self.local_accesses:
            yield (
                f"spills: {self.local} bytes of local memory, {self.local_accesses} accesses to it"
            )
        if self.unaligned:
            return
        if not self.wide_loads and self.base not in WITHOUT_WIDE_LOADS:
            yield "no 128-bit global load (LDG.E.128)"
        if not self.wide_stores and self.base not in WITHOUT_WIDE_STORES:
            yield "no 128-bit global store (STG.E.128)"


def fail(message):
    sys.exit(f"cuda_checks: {message}")


def output_of(command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        fail(f"{shlex.join(map(str, command))}\n{result.stdout}{result.stderr}")
    return result.stdout


def find_cuobjdump():
    """The toolkit's, or the one that comes with Triton (and Triton with torch)."""
    found = shutil.which("cuobjdump", path=f"{os.environ['PATH']}:/usr/local/cuda/bin")
    pattern = ".venv/lib/python*/site-packages/triton/backends/nvidia/bin/cuobjdump"
    return found or next(iter(ROOT.glob(pattern)), None) or fail("cuobjdump was not found")


def demangled(names):
    text = subprocess.run(
        ["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True
    ).stdout
    text = re.sub(r"_GLOBAL__N__\w+::|\(anonymous namespace\)::|float8::kernels::", "", text)
    return dict(zip(names, text.splitlines(), strict=True))


def read_kernels(library):
    dump = [find_cuobjdump(), "-arch", "sm_90"]
    code = {}
    for part in output_of([*dump, "-sass", library]).split("Function : ")[1:]:
        name, body = part.split("\n", 1)
        code[name.strip()] = body
    kernels = {}
    for name, *resources in RESOURCES.findall(output_of([*dump, "-res-usage", library])):
        if name in code:
            kernels[name] = Kernel(*resources, code[name])
    for name, readable in demangled(list(kernels)).items():
        kernels[name].name = readable
    return sorted(kernels.values(), key=lambda kernel: kernel.name)


def check_kernels(library):
    kernels = read_kernels(library)
    if not kernels:
        fail(f"{library} holds no kernels for 9.0")
    print(
        f"{'kernel for 9.0':<34}{'instances':>10}{'registers':>10}{'shared':>8}{'local':>6}"
        f"{'loads':>7}{'stores':>7}   (128-bit, the fewest of an instance)"
    )
    groups = {}
    for kernel in kernels:
        groups.setdefault((kernel.base, kernel.unaligned), []).append(kernel)
    for (base, unaligned), group in sorted(groups.items()):
        low, high = (pick(kernel.registers for kernel in group) for pick in (min, max))
        print(
            f"{base + (', unaligned' if unaligned else ''):<34}{len(group):>10}"
            f"{f'{low}-{high}' if low < high else high:>10}"
            f"{max(kernel.shared for kernel in group):>8}{max(kernel.local for kernel in group):>6}"
            f"{min(kernel.wide_loads for kernel in group):>7}"
            f"{min(kernel.wide_stores for kernel in group):>7}"
        )
    for base in sorted({base for base, unaligned in groups if (base, False) not in groups}):
        yield f"{base}: has no instance for 16-byte aligned rows"
    for exception in sorted({*WITHOUT_WIDE_LOADS, *WITHOUT_WIDE_STORES}):
        if (exception, False) not in groups:
            yield f"{exception}: is excepted from a check, but there is no such kernel"
    for kernel in kernels:
        for violation in kernel.violations():
            yield f"{kernel.name}: {violation}"


def compile_for_extra_architecture(build):
    """The build's own commands, for another architecture; only what has changed since."""
    sources = [*ROOT.glob("kernels/**/*.*"), *ROOT.glob("include/**/*.h")]
    newest = max(path.stat().st_mtime for path in sources)
    commands = []
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = Path(entry["file"])
        if source.suffix != ".cu" or "-gencode" not in entry["command"]:
            continue  # also the tests' build of the kernels for the host
        missing = [arch for arch in BUILT_ARCHITECTURES if f"sm_{arch}" not in entry["command"]]
        if missing:
            yield f"{source.relative_to(ROOT)}: is not built for {', '.join(missing)}"
        target = ROOT / "build" / f"sm_{EXTRA_ARCHITECTURE}" / f"{source.stem}.o"
        if target.exists() and target.stat().st_mtime > newest:
            continue
        command = re.sub(r"-gencode\s+\S+|\s-o\s+\S+", "", entry["command"])
        gencode = f"arch=compute_{EXTRA_ARCHITECTURE},code=sm_{EXTRA_ARCHITECTURE}"
        target.parent.mkdir(parents=True, exist_ok=True)
        command = [*shlex.split(command), "-gencode", gencode, "-o", str(target)]
        commands.append((source, command, entry["directory"]))

    def compile_one(job):
        source, command, directory = job
        run = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
        text = run.stdout + run.stderr
        return source, text if run.returncode != 0 or "warning" in text else ""

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for source, problem in pool.map(compile_one, commands):
            if problem:
                yield f"{source.relative_to(ROOT)} for compute capability 10.0:\n{problem}"
    print(f"compiled for 10.0: {len(commands)} changed files")


def check_size(library):
    size = library.stat().st_size
    print(f"{library.name}: {size / 2**20:.2f} MB")
    if size > MAX_LIBRARY_BYTES:
        yield f"{library.name}: {size} bytes, more than {MAX_LIBRARY_BYTES}"


def main():
    build = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "release").resolve()
    library = build / "kernels" / "libfloat8_kernels.a"
    if not library.exists():
        fail(f"{library} is missing; build it with `make build` (a CUDA build of torch)")
    problems = [*check_kernels(library), *check_size(build / "src" / "libfloat8.so")]
    problems += compile_for_extra_architecture(build)
    for problem in problems:
        print(f"cuda_checks: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
