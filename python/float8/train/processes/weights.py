"""Fills a sharded model's weights, so that no rank but one ever holds more than its shards.

The model is described on meta, converted and sharded there. Then either each rank reads its own
slices of the safetensors files, or rank 0 makes the whole model on the CPU, as one process would,
and hands the slices out one parameter after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

from float8.train.checkpoint.state import model_state, unwrapped
from float8.train.model import build_model, cast_parameters, meta_model
from float8.train.pretrained import check_weights, files_of, pretrained_folder, wants_pretrained

if TYPE_CHECKING:
    from float8.train.config.settings import Settings
    from float8.train.processes.ranks import Ranks


def skeleton(settings: Settings, config: Any) -> Any:
    """The model in its dtype with parameters on meta, and buffers for real.

    The buffers that no file holds (rotary frequencies) are computed while the model is made; on
    meta they would be lost.
    """
    with _parameters_on_meta():
        model = meta_model(settings, config, device=torch.device("cpu"))
    cast_parameters(model, getattr(torch, settings.model.torch_dtype))
    return model.train()


@contextmanager
def _parameters_on_meta() -> Iterator[None]:
    register = nn.Module.register_parameter

    def registering(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is not None and not parameter.is_meta:
            parameter = nn.Parameter(parameter.to("meta"), parameter.requires_grad)
        register(module, name, parameter)

    nn.Module.register_parameter = registering  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]


def fill(model: Any, settings: Settings, config: Any, ranks: Ranks, device: torch.device) -> None:
    """Gives the sharded `model` memory on `device` and the weights that the settings describe.

    Raises:
        float8.ConfigError: no weights in the folder, or none that fit.
    """
    # FSDP2 keeps its own references to the parameters; its `_apply` renews them.
    model._apply(lambda t: torch.empty_like(t, device=device) if t.is_meta else t.to(device))
    if wants_pretrained(settings):
        folder = _shared_folder(settings, ranks)
        check_weights(settings, model, folder)
        files = files_of(folder)
        if files is not None and model_state(model).keys() <= files.keys():
            _read_slices(model, folder, files)
            return
    _hand_out(model, settings, config, ranks, device)


def _shared_folder(settings: Settings, ranks: Ranks) -> Path:
    """The model's folder, downloaded by one rank of each machine while the others wait."""
    folder = pretrained_folder(settings) if ranks.local_rank == 0 else None
    ranks.gather(None)
    return folder or pretrained_folder(settings)


def _read_slices(model: nn.Module, folder: Path, files: dict[str, str]) -> None:
    from safetensors import safe_open

    by_file: dict[str, list[str]] = {}
    wanted = model_state(model)
    for name in wanted:
        by_file.setdefault(files[name], []).append(name)
    for file_name, names in by_file.items():
        with safe_open(folder / file_name, "pt") as file:
            for name in names:
                _copy(wanted[name], file.get_slice(name))


def _copy(target: torch.Tensor, source: Any) -> None:
    """Reads the rank's slice out of a safetensors file's tensor."""
    shape, offset = target.shape, (0,) * target.dim()
    if isinstance(target, DTensor):
        shape, offset = compute_local_shape_and_global_offset(  # type: ignore[assignment]
            target.shape, target.device_mesh, target.placements
        )
    where = tuple(slice(start, start + size) for start, size in zip(offset, shape, strict=True))
    with torch.no_grad():
        unwrapped(target).copy_(source[where])


def _hand_out(
    model: nn.Module, settings: Settings, config: Any, ranks: Ranks, device: torch.device
) -> None:
    whole: dict[str, torch.Tensor] = {}
    if ranks.main:
        whole = build_model(settings, config, torch.device("cpu")).state_dict()
    ranks.agree()  # the others wait here, where waiting may take long
    for name, target in model_state(model).items():
        source = whole.get(name)
        full = torch.empty(target.shape, dtype=target.dtype, device=device)
        if source is not None:
            full.copy_(source)
        with torch.no_grad():
            if isinstance(target, DTensor):
                parts = distribute_tensor(full, target.device_mesh, target.placements)
                unwrapped(target).copy_(parts.to_local())
            else:
                torch.distributed.broadcast(full, src=0)
                target.copy_(full)
