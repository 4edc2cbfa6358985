"""What is said when a step comes to nothing: a loss that is not finite, memory that ran out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from float8.train.checkpoint.state import unwrapped
from float8.train.errors import TrainError
from float8.train.words import size_words, some_of

if TYPE_CHECKING:
    from float8.train.config.settings import Settings
    from float8.train.data.packing import Batch
    from float8.train.processes.ranks import Ranks
    from float8.train.step import Computation


def where_not_finite(computation: Computation, batch: list[Batch], ranks: Ranks) -> str:
    """Which layers a loss or gradient that is not finite came from; all ranks must call.

    Takes the forward pass again, and looks at what each layer makes of what it gets.
    """
    model = computation.model
    bad = [name for name, parameter in model.named_parameters() if not _finite(parameter)]
    parts = []
    if weights := _everywhere(bad, ranks):
        parts.append(f"weights that are not finite: {some_of(weights)}")
    first: list[str] = []
    with torch.no_grad(), _watched(model, first):
        for part in batch:
            computation.loss_sum(part)
    if found := _everywhere(first[:1], ranks):
        parts.append(f"the first output that is not finite is that of {some_of(found)}")
    gradients = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and not _finite(parameter.grad)
    ]
    if bad := _everywhere(gradients, ranks):
        parts.append(f"gradients that are not finite: {some_of(bad)}")
    return "; ".join(parts) or "each layer's output is finite"


@contextlib.contextmanager
def _watched(model: nn.Module, first: list[str]) -> Iterator[None]:
    def look(name: str, output: Any) -> None:
        output = output[0] if isinstance(output, tuple) else output
        if isinstance(output, torch.Tensor) and not _finite(output):
            first.append(name)

    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: look(name, output))
        for name, module in model.named_modules()
        if not any(module.children())
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _finite(tensor: torch.Tensor) -> bool:
    return bool(torch.isfinite(unwrapped(tensor)).all())


def _everywhere(names: list[str], ranks: Ranks) -> list[str]:
    """The names of all ranks, each once."""
    return list(dict.fromkeys(name for part in ranks.gather(names) for name in part))


@contextlib.contextmanager
def explained_memory(settings: Settings, model: Any, optimizer: Any = None) -> Iterator[None]:
    """Turns running out of memory into an error that says what has it and what lowers it.

    Raises:
        TrainError: instead of any of the errors by which torch and Python say so.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        raise TrainError(_memory_words(settings, model, optimizer)) from error


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        "can't allocate memory" in str(error) or "CUBLAS_STATUS_ALLOC_FAILED" in str(error)
    )


def _memory_words(settings: Settings, model: nn.Module, optimizer: Any) -> str:
    parameters = list(model.parameters())
    kept: dict[str, float] = {
        "weights": sum(unwrapped(each).nbytes for each in parameters),
        "gradients": sum(unwrapped(e.grad).nbytes for e in parameters if e.grad is not None),
    }
    if optimizer is not None:
        states = [value for state in optimizer.state.values() for value in state.values()]
        kept["optimizer"] = sum(unwrapped(v).nbytes for v in states if torch.is_tensor(v))
    device = next((unwrapped(each).device for each in parameters), torch.device("cpu"))
    if device.type == "cuda":
        used = torch.cuda.max_memory_allocated(device)
        kept["activations and the rest"] = used - sum(kept.values())
    sizes = ", ".join(f"{name} {size_words(size)}" for name, size in kept.items())
    lower = ["a smaller step_scheduler.local_batch_size"]
    lower += ["a smaller packed_sequence.packed_sequence_size"]
    if settings.model.torch_dtype == "float32":
        lower.append("model.torch_dtype bfloat16")
    if not settings.fp8.force_recompute_fp8_weight_in_bwd and settings.fp8.enabled:
        lower.append("fp8.force_recompute_fp8_weight_in_bwd true")
    lower.append("more processes (--nproc-per-node)")
    return f"out of memory ({sizes} in this process); what lowers it: {'; '.join(lower)}"
