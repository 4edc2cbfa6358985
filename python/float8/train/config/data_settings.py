"""Checks of the sections about data that no single key can tell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from float8.train.config import targets
from float8.train.config.document import Document
from float8.train.config.sections import Dataset
from float8.train.config.validate import describe

if TYPE_CHECKING:
    from float8.train.config.settings import Settings


def data_targets(settings: Settings) -> list[tuple[str, str | None, dict[str, str]]]:
    """Each `_target_` of these sections: its key, its value, and the table of those known."""
    found: list[tuple[str, str | None, dict[str, str]]] = []
    for name in ("dataset", "validation_dataset"):
        dataset = getattr(settings, name)
        if dataset is not None:
            target = dataset.tokenizer._target_
            found.append((f"{name}.tokenizer._target_", target, targets.TOKENIZER))
    for name in ("dataloader", "validation_dataloader"):
        loader = getattr(settings, name)
        found.append((f"{name}._target_", loader._target_, targets.DATALOADER))
        target = loader.collate_fn._target_
        found.append((f"{name}.collate_fn._target_", target, targets.COLLATE))
    return found


def check_data_targets(document: Document) -> None:
    """Raises ConfigError about a data set of a kind unknown here, and not about keys of its own."""
    for name in ("dataset", "validation_dataset"):
        section = document.tree.get(name)
        target = section.get("_target_") if isinstance(section, dict) else None
        if isinstance(target, str):
            targets.look_up(document, f"{name}._target_", target, targets.DATASET)


def check_data(settings: Settings) -> None:
    """Raises ConfigError where keys of the sections about data contradict each other."""
    document = settings.document
    if settings.packed_sequence.packed_sequence_size == 1:
        raise document.error(
            "packed_sequence.packed_sequence_size",
            "0 (each document in a row of its own) or at least 2",
            "the integer 1",
        )
    for name in ("dataset", "validation_dataset"):
        dataset = getattr(settings, name)
        if dataset is not None:
            _check_dataset(document, name, dataset)
    held_out = settings.validation_dataset
    if held_out is not None:
        own = held_out.tokenizer.pretrained_model_name_or_path
        if own not in (None, settings.dataset.tokenizer.pretrained_model_name_or_path):
            raise document.error(
                "validation_dataset.tokenizer", "that of dataset, or none", f"`{own}`"
            )


def _check_dataset(document: Document, name: str, dataset: Dataset) -> None:
    if None not in (dataset.path, dataset.path_or_dataset) and (
        dataset.path != dataset.path_or_dataset
    ):
        raise document.error(
            f"{name}.path", "one file by path or path_or_dataset", "two different ones"
        )
    file = dataset.file
    if file is not None and dataset.split is not None and Path(file).is_file():
        raise document.error(
            f"{name}.split",
            "null: a local file has no splits (a folder has)",
            describe(dataset.split),
        )
    if file is None and dataset.split == "test":
        raise document.error(f"{name}.split", "train, validation or null", "`test`")
    if file is None and dataset._target_ is not None:
        raise document.error(f"{name}.path_or_dataset", "a data set, for `_target_`", "null")
