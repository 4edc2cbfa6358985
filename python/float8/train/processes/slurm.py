"""Slurm's names for what torch expects of torchrun."""

from __future__ import annotations

import re
from collections.abc import Mapping

_FIRST_PORT, _PORTS = 20000, 20000


def slurm_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """torchrun's variables for a task that srun started; empty elsewhere.

    A batch script is itself no such task, although Slurm numbers it 0: only srun says how many
    tasks a step has. The port is made of the job's and the step's number, so that all tasks find
    the same one and two jobs on one machine do not meet.
    """
    tasks = environment.get("SLURM_STEP_NUM_TASKS")
    if tasks is None or "SLURM_PROCID" not in environment:
        return {}
    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST", "")
    job = int(environment.get("SLURM_JOB_ID", "0"))
    step = int(environment.get("SLURM_STEP_ID", "0"))
    made = {
        "RANK": environment["SLURM_PROCID"],
        "WORLD_SIZE": tasks,
        "LOCAL_RANK": environment.get("SLURM_LOCALID", "0"),
    }
    own = {
        "MASTER_ADDR": first_host(nodes),
        "MASTER_PORT": str(_FIRST_PORT + (job * 31 + step) % _PORTS),
    }
    return {**made, **{name: environment.get(name, value) for name, value in own.items()}}


def first_host(nodes: str) -> str:
    """The first of a Slurm node list: "a[07-09,12],b3" gives "a07"."""
    match = re.match(r"([^,\[\]]+)(?:\[([^\],-]+)[^\]]*\]([^,\[\]]*))?", nodes)
    if match is None:
        return "127.0.0.1"
    name, number, rest = match.groups()
    return f"{name}{number or ''}{rest or ''}"
