"""The model: described by the configuration, built on meta or for real, converted, compiled.

transformers is imported inside the functions: it takes seconds, and `--help` and configuration
errors should not wait for it.
"""

from __future__ import annotations

import dataclasses
import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from float8.train.config.settings import Settings
from float8.train.config.validate import describe
from float8.train.hub import looks_local
from float8.train.pretrained import cannot_be_had, load_pretrained, wants_pretrained
from float8.train.words import first_line

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

    from float8.config import CompileConfig


def read_model_config(settings: Settings) -> PreTrainedConfig:
    """Returns the transformers configuration that the section `model` describes.

    Raises:
        float8.ConfigError: an unknown model_type or key, values that do not go together, or a
            folder or hub name from which no configuration can be had.
    """
    from transformers import AutoConfig

    name = settings.model.pretrained_model_name_or_path
    if name is None:
        return _inline_config(settings)
    if looks_local(name) and not Path(name).is_dir():
        raise cannot_be_had(settings, "no such folder")
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(
            name, trust_remote_code=settings.trust_remote_code
        )
    except (OSError, ValueError) as error:
        raise cannot_be_had(settings, first_line(error)) from error
    return config


def _inline_config(settings: Settings) -> PreTrainedConfig:
    from transformers import CONFIG_MAPPING

    document, values = settings.document, dict(settings.model.config)
    kind = values.pop("model_type", None)
    if kind not in CONFIG_MAPPING:
        near = difflib.get_close_matches(str(kind), list(CONFIG_MAPPING.keys()), n=3)
        raise document.error(
            "model.config.model_type", "a model type of transformers", describe(kind), near
        )
    config_class = CONFIG_MAPPING[kind]
    known = [field.name for field in dataclasses.fields(config_class)]
    for name in values:
        # transformers takes any keyword and keeps it without a word: a typo would go unseen.
        if name not in known:
            raise document.error(
                f"model.config.{name}",
                f"a key of {config_class.__name__}",
                f"`{name}`",
                known,
            )
    try:
        made: PreTrainedConfig = config_class(**values)
    except Exception as error:  # its validators raise types of huggingface_hub's own
        raise document.error(
            "model.config", f"values that make a {config_class.__name__}", first_line(error)
        ) from error
    return made


def longest_row(settings: Settings, config: PreTrainedConfig, name: str = "dataset") -> int:
    """The most tokens of a row: of a packed one, else what the data set or the model allows.

    Args:
        settings: how rows are made.
        config: transformers' configuration of the model.
        name: the section of the data set.

    Raises:
        float8.ConfigError: rows do not fit the model.
    """
    document, dataset = settings.document, getattr(settings, name)
    packed = settings.packed_sequence.packed_sequence_size
    positions: int = getattr(config, "max_position_embeddings", None) or 0
    longest: int = packed or dataset.seq_length or positions
    if positions and longest > positions:
        raise document.error(
            "packed_sequence.packed_sequence_size" if packed else f"{name}.seq_length",
            f"at most the model's max_position_embeddings ({positions})",
            describe(longest),
        )
    return longest


def meta_model(
    settings: Settings, config: PreTrainedConfig, device: torch.device | None = None
) -> PreTrainedModel:
    """The model without any data, so that a plan for 8B parameters fits anywhere."""
    with device or torch.device("meta"):
        return _from_config(settings, config)


def build_model(
    settings: Settings, config: PreTrainedConfig, device: torch.device
) -> PreTrainedModel:
    """The model with its weights on `device`, in `model.torch_dtype`, ready to train.

    Random weights depend on `rng.seed` alone: two calls give the same model.

    Raises:
        float8.ConfigError: no weights in the folder, or none that fit.
    """
    torch.manual_seed(settings.rng.seed)
    dtype = getattr(torch, settings.model.torch_dtype)
    if wants_pretrained(settings):
        model: Any = load_pretrained(settings, config, dtype)
    else:
        # Made in float32 and rounded once, so that the dtype does not change the random numbers.
        model = _from_config(settings, config)
        cast_parameters(model, dtype)
    ready: PreTrainedModel = model.to(device).train()
    return ready


def cast_parameters(model: nn.Module, dtype: torch.dtype) -> None:
    """Rounds the parameters alone: rotary frequencies stay float32, as `from_pretrained` has it."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)


def _from_config(settings: Settings, config: PreTrainedConfig) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM  # untyped in transformers
    try:
        model: PreTrainedModel = auto.from_config(
            config, dtype=torch.float32, trust_remote_code=settings.trust_remote_code
        )
    except (ValueError, TypeError, RuntimeError, KeyError) as error:
        raise settings.document.error(
            "model", "a causal language model", first_line(error)
        ) from error
    return model


def decoder_blocks(model: PreTrainedModel) -> list[nn.Module]:
    """The decoder's blocks, which are compiled and sharded one by one."""
    kinds = set(model._no_split_modules or ())
    return [module for module in model.modules() if _own_name(module) in kinds]


def _own_name(module: nn.Module) -> str:
    # fully_shard gives a module a class of its own.
    return type(module).__name__.removeprefix("FSDP")


def compile_blocks(model: PreTrainedModel, compile_config: CompileConfig) -> int:
    """Compiles each decoder block in place; returns how many there are.

    Per block and not the whole model: all blocks share one compilation, and FSDP2 wraps the same
    blocks.
    """
    blocks = decoder_blocks(model)
    for block in blocks:
        block.compile(
            mode=compile_config.mode,
            fullgraph=compile_config.fullgraph,
            dynamic=compile_config.dynamic,
            backend=compile_config.backend or "inductor",
        )
    return len(blocks)
