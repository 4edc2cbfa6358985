"""What the cases share that run on several ranks: the registry, meshes, a model, its training.

Four processes are started once (test_sharded.py) and run every case in its turn. A case runs on
meshes of 1, 2, 3 or 4 of them; ranks outside of the mesh wait at its end.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import float8

RANKS = 4
CASES = {}
PLAIN = float8.Float8LinearConfig(emulate=True)
GATHERED = dataclasses.replace(PLAIN, enable_fsdp_float8_all_gather=True)
CONFIGS = {"plain": PLAIN, "float8": GATHERED}


def case(*worlds):
    """Registers a function of a mesh as a case, once for each size of the mesh."""

    def register(function):
        for world in worlds:
            CASES[f"{function.__name__}-{world}"] = (function, world)
        return function

    return register


@functools.cache
def mesh_of(world):
    """A mesh of that many ranks with this one in it; None where this one is left over."""
    if world == 3:
        mesh = DeviceMesh("cpu", [0, 1, 2])
        return mesh if dist.get_rank() < 3 else None
    shape = {1: (4, 1), 2: (2, 2), 4: (1, 4)}[world]
    return init_device_mesh("cpu", shape, mesh_dim_names=("others", f"of_{world}"))[f"of_{world}"]


class Block(nn.Module):
    """Weights of several row counts: 48 and 32 leave a rest over 3 and 4 ranks or none."""

    def __init__(self, bias=True):
        super().__init__()
        self.norm = nn.LayerNorm(32)
        self.up = nn.Linear(32, 80, bias=bias)
        self.down = nn.Linear(80, 32, bias=bias)

    def forward(self, x):
        return x + self.down(nn.functional.gelu(self.up(self.norm(x))))


def make_model(blocks=2, dtype=torch.float32, device=None, seed=0):
    torch.manual_seed(seed)
    with torch.device(device or "cpu"):
        model = nn.Sequential(*(Block() for _ in range(blocks)), nn.Linear(32, 16))
    return model.to(dtype)


def convert(model, config):
    return float8.convert_to_float8_training(model, config=config)


def shard(model, mesh, **options):
    """Shards each block and the rest. Gradients are summed: see train."""
    for child in model.children():
        fully_shard(child, mesh=mesh, **options)
    fully_shard(model, mesh=mesh, **options)
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
    return model


precompute_scales = float8.precompute_float8_dynamic_scale_for_fsdp


def batches(count, dtype=torch.float32):
    torch.manual_seed(100)
    return torch.randn(count, 6, 32, dtype=dtype)


def loss_of(model, x):
    return model(x).float().square().mean()


def train(model, optimizer, inputs, mesh=None, precompute=False, clip=None):
    """Trains, and returns the losses.

    Only the first rank of a mesh has a gradient: their sum is then that of one process, exactly.
    """
    share = 1.0 if mesh is None or mesh.get_local_rank() == 0 else 0.0
    losses = []
    for x in inputs:
        loss = loss_of(model, x)
        (loss * share).backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad()
        if precompute:
            precompute_scales(model)
        losses.append(loss.item())
    return losses


def full(tensor):
    """The whole of a sharded tensor."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor.detach()


def assert_same_parameters(model, expected):
    for (name, mine), theirs in zip(model.named_parameters(), expected.parameters(), strict=True):
        assert torch.equal(full(mine), full(theirs)), f"{name} differs"


class CollectiveCounter(TorchDispatchMode):
    """Counts operators, and of collectives the bytes that all ranks together put in."""

    def __init__(self):
        super().__init__()
        self.operators = Counter()
        self.calls = Counter()
        self.bytes = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        namespace, name = func._schema.name.split("::")
        self.operators[name] += 1
        if namespace == "c10d" and name != "barrier":
            self.calls[name] += 1
            # The result of an all-gather is what all ranks sent.
            tensors = args[0] if isinstance(args[0], (list, tuple)) else [args[0]]
            self.bytes[name] += sum(t.numel() * t.itemsize for t in tensors)
        return func(*args, **(kwargs or {}))


class LiveBytes(TorchDispatchMode):
    """Knows the storages of all FP8 and byte tensors that operators made, whoever holds them."""

    def __init__(self):
        super().__init__()
        self.made = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if type(tensor) in (torch.Tensor, nn.Parameter) and tensor.itemsize == 1:
                storage = tensor.untyped_storage()
                self.made[storage._cdata] = StorageWeakRef(storage)
        return result

    def now(self):
        """Bytes of those that are still there and have memory."""
        there = (torch.UntypedStorage._new_with_weak_ptr(ref.cdata) for ref in self.made.values())
        return sum(storage.nbytes() for storage in there if storage is not None)
