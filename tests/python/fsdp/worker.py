"""One rank: runs the cases that are named, and writes what became of each into a file.

torchrun --nproc-per-node 4 worker.py FOLDER CASE ...
"""

import datetime
import json
import logging
import os
import sys
import time
import traceback
import warnings
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

sys.path.insert(0, str(Path(__file__).parent.parent))  # what all tests share

import cases_checkpoints  # noqa: F401
import cases_features  # noqa: F401
import cases_scales  # noqa: F401
import cases_training  # noqa: F401
import cases_uses  # noqa: F401
from ranks import CASES, mesh_of


def main(folder, names):
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=FutureWarning)
    logging.getLogger("torch.distributed").setLevel(logging.ERROR)
    seconds = int(os.environ.get("FLOAT8_TEST_TIMEOUT", "60"))  # where a rank waits in vain
    dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=seconds))
    for world in (1, 2, 3, 4):
        mesh_of(world)
    results = {}
    for name in names:
        function, world = CASES[name]
        start = time.perf_counter()
        try:
            if mesh_of(world) is not None:
                function(mesh_of(world))
            results[name] = ""
        except (Exception, pytest.fail.Exception):
            results[name] = traceback.format_exc()
        seconds = time.perf_counter() - start
        if os.environ.get("FLOAT8_TEST_TIMES") and dist.get_rank() == 0:
            print(f"{seconds:6.2f} s  {name}", flush=True)
        said = Path(folder, f"{dist.get_rank()}.json")
        said.with_suffix(".new").write_text(json.dumps(results))
        said.with_suffix(".new").replace(said)  # torchrun ends ranks at any moment
        failed = torch.tensor([bool(results[name])], dtype=torch.int32)
        dist.all_reduce(failed, dist.ReduceOp.MAX)  # also: leftover ranks wait here
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
