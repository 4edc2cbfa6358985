"""FSDP2 with FP8 weights on real processes: each case of the files cases_*.py by its name.

All of them run in one launch of torchrun, since starting processes costs more than the cases do.
"""

import json
import subprocess
import sys
from pathlib import Path

import cases_checkpoints  # noqa: F401
import cases_features  # noqa: F401
import cases_scales  # noqa: F401
import cases_training  # noqa: F401
import cases_uses  # noqa: F401
import pytest
from ranks import CASES, RANKS


@pytest.fixture(scope="session")
def outcomes(request, tmp_path_factory):
    """What each rank says about each of the cases that were selected."""
    folder = tmp_path_factory.mktemp("ranks")
    selected = {item.callspec.params["name"] for item in request.session.items if is_case(item)}
    names = [name for name in CASES if name in selected]
    worker = Path(__file__).parent / "worker.py"
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={RANKS}"]
    finished = subprocess.run(
        [sys.executable, *launch, str(worker), str(folder), *names],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        cwd=folder,
    )
    said = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return said, finished.stdout + finished.stderr


def is_case(item):
    return getattr(item, "originalname", None) == "test_case"


@pytest.mark.parametrize("name", CASES)
def test_case(name, outcomes):
    said, output = outcomes
    assert len(said) == RANKS, output
    missing = [rank for rank, results in enumerate(said) if name not in results]
    assert not missing, f"ranks {missing} ended before it:\n{output}"
    errors = [f"rank {rank}:\n{said[rank][name]}" for rank in range(RANKS) if said[rank][name]]
    assert not errors, "\n".join(errors)
