"""The trained model as a folder that transformers' `from_pretrained` loads, in BF16."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.distributed.tensor import DTensor

from float8.train.checkpoint.state import model_state
from float8.train.data.tokenizer import HubTokenizer, load_tokenizer
from float8.train.model import cast_parameters, meta_model
from float8.train.pretrained import pretrained_folder, wants_pretrained

if TYPE_CHECKING:
    from float8.train.config.settings import Settings
    from float8.train.processes.ranks import Ranks


def export(model: Any, settings: Settings, config: Any, folder: Path, ranks: Ranks) -> None:
    """Gathers the weights, one after the other, and writes them from rank 0; all ranks must call.

    Written aside and renamed: an earlier export is there until the new one is whole.

    Raises:
        OSError: the folder cannot be written.
    """
    whole: dict[str, torch.Tensor] = {}
    for name, tensor in model_state(model).items():
        full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        if ranks.main:
            dtype = torch.bfloat16 if full.is_floating_point() else full.dtype
            whole[name] = full.detach().to("cpu", dtype)
    if ranks.main:
        _write(whole, settings, config, folder)
    ranks.agree()  # the others wait here, where waiting may take long


def _write(whole: dict[str, torch.Tensor], settings: Settings, config: Any, folder: Path) -> None:
    from transformers.utils.logging import disable_progress_bar

    aside = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    # From a model that was neither sharded nor converted: what transformers writes beside the
    # weights then names its own classes.
    original: Any = meta_model(settings, config)
    cast_parameters(original, torch.bfloat16)
    disable_progress_bar()  # type: ignore[no-untyped-call]
    original.save_pretrained(aside, state_dict=whole)
    tokenizer = load_tokenizer(settings)
    if isinstance(tokenizer, HubTokenizer):
        tokenizer.save(aside)
    if wants_pretrained(settings):  # how it is to be sampled from is not changed by training
        generation = pretrained_folder(settings) / "generation_config.json"
        if generation.exists():
            shutil.copyfile(generation, aside / generation.name)
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
