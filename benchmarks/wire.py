"""Bytes that each rank receives and sends in a training step under FSDP2: a count, not a timing.

One block of Llama 3 8B's shapes, sharded over 8, 64 or 512 ranks. The ranks are simulated: this
process computes as one of them, and torch's "fake" process group takes what it sends.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections import Counter
from typing import Any

import torch
import torch.distributed as dist
from harness import Results
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode

import float8

HIDDEN, KEY_VALUE, MLP = 4096, 1024, 14336
PLAIN = float8.Float8LinearConfig(emulate=True)
GATHERED = dataclasses.replace(PLAIN, enable_fsdp_float8_all_gather=True)
RUNS = {
    "bf16": (PLAIN, False),
    "fp8": (GATHERED, False),
    "fp8, precomputed scales": (GATHERED, True),
}


class Block(nn.Module):
    """The linear layers of a block, in their order; attention itself is left out."""

    def __init__(self, shrink: int) -> None:
        super().__init__()
        hidden, key_value, mlp = HIDDEN // shrink, KEY_VALUE // shrink, MLP // shrink
        self.norms = nn.ModuleList(nn.RMSNorm(hidden) for _ in range(2))
        self.q, self.o = (nn.Linear(hidden, hidden, bias=False) for _ in range(2))
        self.k, self.v = (nn.Linear(hidden, key_value, bias=False) for _ in range(2))
        self.gate, self.up = (nn.Linear(hidden, mlp, bias=False) for _ in range(2))
        self.down = nn.Linear(mlp, hidden, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[tokens, hidden] to the same."""
        y = self.norms[0](x)
        heads = torch.cat([self.k(y) + self.v(y)] * (HIDDEN // KEY_VALUE), dim=-1)
        x = x + self.o(self.q(y) + heads)
        y = self.norms[1](x)
        return x + self.down(nn.functional.silu(self.gate(y)) * self.up(y))


COLLECTIVES = {
    "_allgather_base_": "all_gather",
    "_reduce_scatter_base_": "reduce_scatter",
    "allreduce_": "all_reduce",
}


class Wire(TorchDispatchMode):
    """Counts calls and bytes of collectives: of each the larger of what goes in and comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.scales = 0  # bytes of maxima, which are reduced as integers

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Counts, and calls."""
        name = COLLECTIVES.get(func._schema.name.removeprefix("c10d::"))
        if name is not None:
            leaves = torch.utils._pytree.tree_leaves(args[:2])
            largest = max(t.nbytes for t in leaves if isinstance(t, torch.Tensor))
            self.calls[name] += 1
            self.bytes[name] += largest
            if any(isinstance(t, torch.Tensor) and t.dtype == torch.int32 for t in leaves):
                self.scales += largest
        return func(*args, **(kwargs or {}))


def count(run: str, shrink: int, tokens: int) -> Wire:
    """One training step of a block."""
    config, precompute = RUNS[run]
    torch.manual_seed(0)
    block = Block(shrink).bfloat16()
    float8.convert_to_float8_training(block, config=config)
    fully_shard(block, reshard_after_forward=True)
    optimizer = torch.optim.SGD(block.parameters(), lr=0.1)
    x = torch.randn(tokens, HIDDEN // shrink, dtype=torch.bfloat16, requires_grad=True)
    if precompute:
        float8.precompute_float8_dynamic_scale_for_fsdp(block)  # of the step before
    with Wire() as wire:
        block(x).sum().backward()
        optimizer.step()
        if precompute:
            float8.precompute_float8_dynamic_scale_for_fsdp(block)
    return wire


def main() -> None:
    """Counts for each number of ranks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, nargs="+", default=[8, 64, 512])
    parser.add_argument("--shrink", type=int, default=1, help="divides the block's sizes")
    parser.add_argument("--tokens", type=int, default=16, help="no byte on the wire depends on it")
    arguments = parser.parse_args()
    results = Results("wire")
    for ranks in arguments.ranks:
        dist.init_process_group("fake", rank=0, world_size=ranks, store=FakeStore())
        wires = {run: count(run, arguments.shrink, arguments.tokens) for run in RUNS}
        dist.destroy_process_group()
        for run, wire in wires.items():
            # Of what a ring gathers or scatters, a rank holds one part itself.
            received = {
                name: total * (ranks - 1) // ranks * (2 if name == "all_reduce" else 1)
                for name, total in wire.bytes.items()
            }
            of_bf16 = wire.bytes["all_gather"] / wires["bf16"].bytes["all_gather"]
            results.add(
                f"wire {run:24} | {ranks:4} ranks | all-gather {received['all_gather']:12,} bytes, "
                f"{of_bf16:.4f} of BF16's | {wire.calls['all_reduce']:2} all-reduces",
                {"run": run, "ranks": ranks, "shrink": arguments.shrink},
                bytes_received=received,
                calls=dict(wire.calls),
                all_gather_of_bf16=of_bf16,
                goals={},
            )


if __name__ == "__main__":
    main()
