"""Weights of a folder or of the hub: whether they are the model's, and how they are read."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from float8.train.checkpoint.state import model_state
from float8.train.config import targets
from float8.train.config.settings import Settings
from float8.train.words import first_line, some_of

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_NAME_KEY = "model.pretrained_model_name_or_path"
_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"


def wants_pretrained(settings: Settings) -> bool:
    """Whether the weights come from a folder or the hub, and are not random."""
    return targets.MODEL[settings.model._target_] == "from_pretrained" and (
        settings.model.pretrained_model_name_or_path is not None
    )


def pretrained_folder(settings: Settings) -> Path:
    """The folder that the weights are in, downloaded first where they are on the hub.

    Raises:
        float8.ConfigError: no such model, or the hub cannot be reached.
    """
    name = str(settings.model.pretrained_model_name_or_path)
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=["*.safetensors", "*.json"]))
    except (OSError, ValueError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise cannot_be_had(settings, first_line(error)) from error


def files_of(folder: Path) -> dict[str, str] | None:
    """Tensor name -> file name, or None where there are no safetensors files."""
    if (folder / _INDEX).exists():
        mapping: dict[str, str] = json.loads((folder / _INDEX).read_text())["weight_map"]
        # Only files of this folder, whatever the index says.
        return {name: Path(file).name for name, file in mapping.items()}
    if not (folder / _SINGLE).exists():
        return None
    from safetensors import safe_open

    with safe_open(folder / _SINGLE, "pt") as file:
        return dict.fromkeys(file.keys(), _SINGLE)


def check_weights(settings: Settings, model: nn.Module, folder: Path | None = None) -> str:
    """Holds the names and shapes in safetensors files against those of a model, without any data.

    Args:
        settings: where the weights are.
        model: on meta, or sharded.
        folder: where those of the hub were downloaded to; None: a local folder, or nothing yet.

    Returns:
        A line about weights that the model has no place for; empty where there are none.

    Raises:
        float8.ConfigError: a file is missing or damaged, or the weights are another model's.
    """
    local = Path(str(settings.model.pretrained_model_name_or_path))
    folder = folder or (local if local.is_dir() else None)
    if folder is None or not wants_pretrained(settings):
        return ""
    from safetensors import SafetensorError

    try:
        shapes = _shapes_in(folder)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise cannot_be_had(
            settings, f"a file is missing or damaged: {first_line(error)}"
        ) from error
    if shapes is None:
        if local.is_dir() and not any(local.glob("*.bin")):
            raise cannot_be_had(settings, "no model.safetensors in it")
        return ""
    expected = {key: tuple(tensor.shape) for key, tensor in model_state(model).items()}
    others = {
        key: f"{list(shapes[key])} instead of {list(shape)}"
        for key, shape in expected.items()
        if key in shapes and shapes[key] != shape
    }
    missing = [key for key in expected if key not in shapes]
    unknown = sorted(shapes.keys() - model.state_dict().keys())
    # transformers knows older names for some weights: where there are names of both kinds, only
    # loading them tells whether they are the same.
    if others or (missing and not unknown):
        raise _another_models(settings, missing, others)
    if missing or not unknown:
        return ""
    return f"model: left out, since the model has no place for them: the weights {some_of(unknown)}"


def _shapes_in(folder: Path) -> dict[str, tuple[int, ...]] | None:
    files = files_of(folder)
    if files is None:
        return None
    from safetensors import safe_open

    shapes = {}
    for name in dict.fromkeys(files.values()):
        with safe_open(folder / name, "pt") as file:
            for key in file.keys():  # noqa: SIM118  (it is no dict)
                shapes[key] = tuple(file.get_slice(key).get_shape())
    return shapes


def load_pretrained(settings: Settings, config: PreTrainedConfig, dtype: torch.dtype) -> Any:
    """The model by transformers, on the CPU.

    Raises:
        float8.ConfigError: no weights, or some that are not the model's: transformers itself
            draws random ones in place of those that are missing.
    """
    from transformers import AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM  # untyped in transformers
    try:
        with _without_words():
            model, report = auto.from_pretrained(
                str(settings.model.pretrained_model_name_or_path),
                config=config,
                dtype=dtype,
                trust_remote_code=settings.trust_remote_code,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are reported, and refused here
            )
    except (OSError, ValueError, RuntimeError, UnpicklingError) as error:
        raise cannot_be_had(settings, first_line(error)) from error
    others = {
        key: f"{list(stored)} instead of {list(wanted)}"
        for key, stored, wanted in report["mismatched_keys"]
    }
    if report["missing_keys"] or others:
        raise _another_models(settings, sorted(report["missing_keys"]), others)
    return model


@contextlib.contextmanager
def _without_words() -> Iterator[None]:
    """transformers' table of what is missing is said here in a line; its bar is for terminals."""
    from transformers.utils import logging

    before: Any = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    if not sys.stderr.isatty():
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(before)


def cannot_be_had(settings: Settings, why: str) -> Exception:
    """The error about a model that is not there, and how to come by it (does not raise it)."""
    name = settings.model.pretrained_model_name_or_path
    return settings.document.error(
        _NAME_KEY,
        "a local folder with a config.json and the weights, or a model of the hub where that can "
        f"be reached (`hf download NAME --local-dir FOLDER` there, then --{_NAME_KEY} FOLDER here)",
        f"`{name}` ({why})",
    )


def _another_models(settings: Settings, missing: list[str], others: Mapping[str, str]) -> Exception:
    said = [f"no {some_of(missing)}"] if missing else []
    said += [some_of([f"{key} {what}" for key, what in others.items()])] if others else []
    return settings.document.error(
        _NAME_KEY,
        "the weights of the model that its config.json describes",
        f"`{settings.model.pretrained_model_name_or_path}` with {', and '.join(said)}",
    )
