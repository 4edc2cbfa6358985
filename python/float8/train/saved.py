"""What a forward pass keeps for the backward pass, counted on fake tensors: shapes without data.

What a compiler fuses away is not in it: blocks run as in eager mode.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

import float8
from float8.train.config.settings import Settings

_FP8 = (torch.float8_e4m3fn, torch.float8_e5m2)


@dataclass(frozen=True)
class Saved:
    """What the forward pass keeps for the backward pass, in bytes."""

    activations: int
    fp8_copies: int
    loss: int


def saved_by(settings: Settings, config: Any, length: int, sharded: bool, fp8: bool) -> Saved:
    """Runs a local batch's forward pass on fake tensors and counts what autograd saves.

    Attention is torch's fused one, which does not keep the scores.

    Args:
        settings: the batch, the dtype and the recipe.
        config: transformers' configuration of the model.
        length: tokens in a row.
        sharded: whether FSDP2 gathers the weights.
        fp8: convert the model first.
    """
    from transformers import AutoModelForCausalLM

    master = settings.model.torch_dtype == "float32"
    seen: dict[int, int] = {}
    kinds: dict[int, bool] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in parameters:
            kept.append(storage)  # alive, so that its address stays its own
            seen[storage._cdata] = storage.nbytes()
            kinds[storage._cdata] = tensor.dtype in _FP8
        return tensor

    kept: list[Any] = []
    with ExitStack() as stack:
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        # FSDP2 gathers float32 weights as BF16; one process casts them by autocast.
        dtype = torch.float32 if master and not sharded else torch.bfloat16
        auto: Any = AutoModelForCausalLM  # untyped in transformers
        model = auto.from_config(config, dtype=dtype, trust_remote_code=False).train()
        if fp8:
            float8.plan_conversion(model, config=_emulated(settings, sharded)).apply()
        parameters = {p.untyped_storage()._cdata for p in model.parameters()}
        batch = settings.step_scheduler.local_batch_size
        tokens = torch.zeros(batch, length, dtype=torch.long)
        stack.enter_context(_SharedCopies())
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            mixed = torch.autocast("cpu", torch.bfloat16, enabled=master and not sharded)
            with mixed:
                # As the loop calls it: position ids of packed documents make a mask.
                logits = model(input_ids=tokens, position_ids=tokens, use_cache=False).logits
            before = sum(seen.values())
            loss = functional.cross_entropy(
                logits.float().flatten(0, 1), tokens.flatten(), reduction="sum"
            )
        total, copies = sum(seen.values()), sum(size for key, size in seen.items() if kinds[key])
        del loss
    return Saved(activations=before - copies, fp8_copies=copies, loss=total - before)


class _SharedCopies(TorchDispatchMode):
    """Layers that read one input share its FP8 copies; on fake tensors they would not."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._made: dict[Any, Any] = {}
        self._inputs: list[Any] = []  # alive, so that an address stays its own

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func not in (torch.ops.float8.quantize.default, torch.ops.float8.quantize_pair.default):
            return func(*args, **(kwargs or {}))
        x, storage = args[0], args[0].untyped_storage()
        key = (func, storage._cdata, x._version, str((x.shape, *args[1:], kwargs)))
        if key not in self._made:
            self._inputs.append(storage)
            self._made[key] = func(*args, **(kwargs or {}))
        return self._made[key]


def _emulated(settings: Settings, sharded: bool) -> Any:
    """The recipe on fake CPU tensors; a sharded weight's copy is never kept (float8.fsdp)."""
    return replace(
        settings.fp8,
        emulate=True,
        enable_fsdp_float8_all_gather=False,
        precompute_float8_dynamic_scale_for_fsdp=False,
        force_recompute_fp8_weight_in_bwd=(
            settings.fp8.force_recompute_fp8_weight_in_bwd or sharded
        ),
    )
