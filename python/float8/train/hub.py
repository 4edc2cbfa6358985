"""The Hugging Face hub: asked once, and briefly, whether it can be reached.

Its own clients try for half a minute, print every try, and begin again with the next file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from float8.train.config.settings import Settings

_SECONDS = 5.0
_FILES = (".jsonl", ".json", ".parquet", ".txt", ".md", ".text")


def looks_local(name: str) -> bool:
    """Hub names are `name` or `owner/name`, without a data file's ending."""
    path = Path(name)
    return path.is_absolute() or name.count("/") > 1 or name.startswith((".", "~")) or (
        path.suffix in _FILES
    )  # fmt: skip


def is_hub_name(name: str | None) -> bool:
    """Whether something by that name can only be on the hub."""
    return name is not None and not Path(name).exists() and not looks_local(name)


def without_hub(settings: Settings, data: bool = True) -> str:
    """Where names of the hub are used and it cannot be reached, its clients look at their own
    copies alone from here on.

    Args:
        settings: what is looked for.
        data: data sets and tokenizers too, not the model alone.

    Returns:
        A line that says so; empty where the hub answers, or nobody asks it.
    """
    names = [settings.model.pretrained_model_name_or_path]
    if data:
        for dataset in (settings.dataset, settings.validation_dataset):
            if dataset is not None:
                tokenizer = dataset.tokenizer.pretrained_model_name_or_path
                names.append(None if tokenizer == "bytes" else tokenizer)
                names.append(dataset.path_or_dataset if dataset.path is None else None)
    if not any(map(is_hub_name, names)):
        return ""
    why = _unreachable()
    if not why:
        return ""
    from huggingface_hub import constants

    constants.HF_HUB_OFFLINE = True
    os.environ["HF_HUB_OFFLINE"] = "1"  # for what has not been imported yet
    return f"the hub cannot be reached ({why}): only copies that it left here are used"


def _unreachable() -> str:
    """Why a request brought no answer at all; by the hub's own client, which knows of proxies."""
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return ""  # as the user wishes
    try:
        get_session().head(constants.ENDPOINT, timeout=_SECONDS)
    except Exception as error:  # of whichever network library this client is made
        return f"{constants.ENDPOINT}: {str(error) or type(error).__name__}"
    return ""
