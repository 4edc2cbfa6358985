"""Tokens per second from rows of JSON to batches: tokenized and packed, opened again, drawn.

    python benchmarks/data_loading.py [--data FOLDER]    # or FLOAT8_HELLASWAG=FOLDER

FOLDER holds HellaSwag's train.jsonl; without it rows of the same form are made of the documentation
that ships with Python. The tokenizer is a byte-level BPE like Llama 3's, trained on these texts.
Tokenizing row by row, as a data set's __getitem__ would, is what the batches are compared with.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

from harness import Results, alternate

from float8.train.config.settings import Settings, load_settings
from float8.train.data import pack_cache
from float8.train.data.loader import load_rows

VOCABULARY = 16384
CONFIG = """\
step_scheduler: {{max_steps: 1, global_batch_size: 1}}
model: {{config: {{model_type: llama, vocab_size: {vocabulary}, max_position_embeddings: 8192}}}}
dataset:
  _target_: nemo_automodel.components.datasets.llm.hellaswag.HellaSwag
  path_or_dataset: {folder}
  split: train
  tokenizer: {folder}/tokenizer
"""
LAYOUTS = {"packed to 8192": "8192", "one document a row": "0"}


def make_rows(data: str | None, folder: Path, count: int) -> list[str]:
    """Writes train.jsonl; returns the texts in it."""
    if data:
        lines = (Path(data) / "train.jsonl").read_text(encoding="utf-8").splitlines()[:count]
        rows = [json.loads(line) for line in lines]
    else:
        words = " ".join(topics.values()).split()
        rows = []
        for start in range(0, count * 90, 90):
            part = [words[(start + offset) % len(words)] for offset in range(90)]
            endings = [" ".join(part[40 + at : 90]) for at in (0, 10, 20, 30)]
            rows.append({"ctx": " ".join(part[:40]), "endings": endings, "label": start // 90 % 4})
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "train.jsonl").write_text(text, encoding="utf-8")
    return [text for row in rows for text in (row["ctx"], row["endings"][int(row["label"])])]


def make_tokenizer(folder: Path, texts: list[str]) -> Any:
    """Trains the tokenizer and writes it; returns it as transformers reads it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=["<s>"],
            initial_alphabet=alphabet,
            show_progress=False,
        ),
    )
    PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>").save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def make_and_forget(settings: Settings) -> None:
    """Rows from the text, kept on disk and then deleted, so that the next call makes them again."""
    load_rows(settings, "dataset")
    for entry in (pack_cache.cache_folder() / "packs").iterdir():
        for file in entry.iterdir():
            file.unlink()
        entry.rmdir()


def draw(settings: Settings) -> Callable[[], None]:
    """One pass over the rows by the loader that training uses."""
    from torchdata.stateful_dataloader import StatefulDataLoader

    rows = load_rows(settings, "dataset")
    loader = StatefulDataLoader(rows, batch_size=1, shuffle=True, collate_fn=rows.collate)

    def run() -> None:
        for batch in loader:
            batch["input_ids"].sum()  # touches it, as a copy to the device would

    return run


def main() -> None:
    """Checks that both layouts hold the same targets, then times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("FLOAT8_HELLASWAG"))
    parser.add_argument("--rows", type=int, default=9000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    results = Results("data_loading")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["FLOAT8_CACHE_DIR"] = str(folder / "cache")
        texts = make_rows(arguments.data, folder, arguments.rows)
        tokenizer = make_tokenizer(folder / "tokenizer", texts)
        path = folder / "data.yaml"
        path.write_text(CONFIG.format(folder=folder, vocabulary=VOCABULARY))
        targets = []
        for layout, size in LAYOUTS.items():
            settings = load_settings(str(path), [("packed_sequence.packed_sequence_size", size)])
            make_and_forget(settings)
            rows = load_rows(settings, "dataset")
            tokens = sum(len(ids) for ids in tokenizer(texts)["input_ids"])
            targets.append(rows.labels[rows.labels >= 0].tolist())
            if targets[0] != targets[-1]:
                raise SystemExit("the layouts hold other targets")
            times = alternate(
                {
                    "draw": draw(settings),
                    "open": lambda settings=settings: load_rows(settings, "dataset"),
                    "one_by_one": lambda: [tokenizer(text) for text in texts],
                },
                arguments.rounds,
            )
            made = alternate(
                {"make": lambda settings=settings: make_and_forget(settings)}, arguments.rounds
            )
            speed = {
                "make": tokens / made["make"].median,
                "one_by_one": tokens / times["one_by_one"].median,
                "draw": rows.labels.numel() / times["draw"].median,
            }
            results.add(
                f"{layout:18} | {len(rows):5} rows | made {speed['make']:10,.0f} tokens/s "
                f"(tokenized one by one {speed['one_by_one']:10,.0f}) | opened in "
                f"{times['open'].median:.3f} s | drawn {speed['draw']:12,.0f} tokens/s",
                {"layout": layout, "rows": "HellaSwag" if arguments.data else "made up"},
                tokens=tokens,
                seconds={**times.as_dict(), **made.as_dict()},
                tokens_per_second={key: round(value) for key, value in speed.items()},
            )


if __name__ == "__main__":
    main()
