"""FP8 copies of weights that live from one microbatch to the next."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from float8.float8_linear import Float8Linear

__all__ = ["cached_weights", "invalidate_cached_weights"]


@contextlib.contextmanager
def cached_weights(model: nn.Module) -> Iterator[None]:
    """Keeps the FP8 copies of a model's weights until the weights change.

    With gradient accumulation a weight is then quantized once per optimizer step, and not once per
    microbatch. Results are the same bit for bit.

        with float8.cached_weights(model):
            for microbatches in data: ...  # forward, backward; optimizer.step() at the end

    A change is seen by the tensor's version counter (in-place operations, `copy_`,
    `load_state_dict`), by its memory (a `.data` that was replaced), and after every `step()` of a
    `torch.optim` optimizer, also one whose kernels write by address. Not seen is what goes around
    all of these: in-place writes through `.data` or NumPy, into a flat buffer that was given to the
    weight as its `.data`, by `torch.distributed.broadcast` and `all_reduce`, by another process
    (`share_memory_`), by a replayed CUDA graph that holds the optimizer's step. Call
    `invalidate_cached_weights` after them. `torch.utils.swap_tensors` raises an error for weights
    whose copies are kept.

    Costs 2 bytes per weight value. No effect in inference mode, under torch.compile, and on layers
    with `force_recompute_fp8_weight_in_bwd`.

    Args:
        model: its Float8Linear layers are meant; there may be none.

    Raises:
        ValueError: weights are sharded (FSDP, DTensor): their memory is written to by address.
    """
    weights = []
    for name, module in model.named_modules():
        if any(kind.__name__ == "FullyShardedDataParallel" for kind in type(module).__mro__):
            raise ValueError(_sharded(name or "the model", type(module).__name__))
        if isinstance(module, Float8Linear):
            if type(module.weight.data) is not torch.Tensor:
                raise ValueError(_sharded(f"{name}.weight", type(module.weight.data).__name__))
            weights.append(module.weight)
    torch.ops.float8.cache_weights(weights)
    hook = register_optimizer_step_post_hook(_after_step)
    try:
        yield
    finally:
        hook.remove()
        torch.ops.float8.release_weights(weights)


def invalidate_cached_weights() -> None:
    """Forgets all cached copies of weights: after writes that `cached_weights` cannot see."""
    torch.ops.float8.invalidate_cached_weights()


def _after_step(*_: Any) -> None:
    invalidate_cached_weights()


def _sharded(name: str, kind: str) -> str:
    return (
        f"[cached_weights] a cached weight must be a plain tensor, but {name} is a {kind}, whose "
        "memory is written to unseen; leave sharded models uncached"
    )
