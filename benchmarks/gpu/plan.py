"""The steps of `make gpu`, in order: build, checks, then figures, the most important first."""

from __future__ import annotations

import sys
from pathlib import Path

from gpu.steps import Step

FOLDER = Path(__file__).resolve().parent.parent
TEXTS = FOLDER.parent / ".gpu" / "hellaswag"
BUILD = ("unpack", "build", "package")
TOTAL_SECONDS = 535.0
REHEARSAL_SECONDS = 7200.0  # a few cores build for many GPUs' worth of time
REHEARSAL_ARCHITECTURE = "9.0"


def plan(rehearse: bool, choices: Path, build: Path) -> list[Step]:
    """All steps; a rehearsal runs the small versions on the CPU.

    Args:
        rehearse: without a GPU.
        choices: file for the algorithms that trials chose.
        build: folder of the C++ build.
    """
    smoke = ("--smoke",) if rehearse else ()
    rehearsed = ("--rehearse",) if rehearse else ()
    longer = 20.0 if rehearse else 1.0

    def program(module: str, *options: str) -> tuple[str, ...]:
        return (sys.executable, "-m", f"gpu.{module}", *options, "--budget", "{budget}")

    def script(name: str, *options: str) -> tuple[str, ...]:
        return (sys.executable, str(FOLDER / f"{name}.py"), *options)

    def checks(suite: str) -> tuple[str, ...]:
        return program("checks", suite, "--build", str(build), *rehearsed)

    script_of_build = str(FOLDER.parent / ".ci" / "gpu_build.sh")
    steps = [
        Step("unpack", (script_of_build, "unpack"), 45 * longer),
        Step("build", (script_of_build, "build"), 220 * longer, ("unpack",)),
        Step("package", (script_of_build, "package"), 20 * longer, ("unpack",)),
        Step("tests-cpp", checks("cpp"), 45 * longer, ("package",)),
        Step("tests-python", checks("python"), 60 * longer, ("package",)),
        Step("sanitizer", checks("sanitizer"), 60 * longer, ("package",)),
        Step("casts", program("casts", *smoke), 25 * longer, ("package",)),
        Step("gemms", program("gemms", *smoke), 40 * longer, ("package",)),
        Step(
            "gemms-best",
            program("gemms", "--tuned", "--choices", str(choices), *smoke),
            35 * longer,
            ("package",),
        ),
        Step("layers", program("layers", *smoke), 100 * longer, ("package",), stretches=True),
        Step("step", program("step", *smoke), 65 * longer, ("package",)),
    ]
    host = ("--rounds", "2") if rehearse else ("--device", "cuda")
    steps.append(Step("host", script("host", *host), 20 * longer, ("package",)))
    if (FOLDER / "loss_parity.py").exists():
        command = script("loss_parity", "--smoke")
        why = ""
        if not rehearse:
            command = script("loss_parity", "--device", "cuda", "--data", str(TEXTS))
            if not (TEXTS / "train.jsonl").exists():
                why = "make gpu-stage took no texts along"
        steps.append(Step("loss-parity", command, 75 * longer, ("package",), left_out=why))
    steps.append(Step("kernels", program("kernels", *smoke), 25 * longer, ("package",)))
    return steps


def choose(steps: list[Step], only: list[str]) -> list[Step]:
    """The steps of these names, and the build; an unknown name is an error that lists them."""
    names = [step.name for step in steps]
    unknown = [name for name in only if name not in names]
    if unknown:
        raise SystemExit(f"[gpu] no step named {', '.join(unknown)}; there are {', '.join(names)}")
    return [step for step in steps if not only or step.name in (*BUILD, *only)]
