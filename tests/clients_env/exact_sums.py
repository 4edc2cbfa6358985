"""automodel.py, but torchao's emulated products are summed in float64.

How far torchao's own losses move by that alone says what a difference of another library's losses
from torchao's can mean. From build/clients, after `make clients`:

    here=../../tests/clients_env
    OMP_NUM_THREADS=1 env/bin/python $here/exact_sums.py $here/automodel.yaml models 1,2,3,4,5,6,7,8

Compare with results/automodel-1-tensorwise-torchao.jsonl.
"""

from typing import Any

import automodel
import torch
from torchao.float8 import float8_ops


class ExactSums:
    """torch, but a product of float32 matrices is rounded once."""

    @staticmethod
    def mm(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """a b."""
        return torch.mm(a.double(), b.double()).float()

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


float8_ops.torch = ExactSums()
automodel.main()
