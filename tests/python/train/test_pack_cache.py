"""Rows kept on disk: made once, mapped afterwards, and never half there."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import shutil
import time

import pytest
import torch
from tiny_tokenizer import save_tokenizer

from float8.train.config.settings import load_settings
from float8.train.data import loader as data
from float8.train.data.loader import load_rows
from float8.train.data.pack_cache import cached_rows, kept_packs
from float8.train.data.packing import PackedRows
from float8.train.data.tokenizer import HubTokenizer

HELLASWAG = "nemo_automodel.components.datasets.llm.hellaswag.HellaSwag"


@pytest.fixture
def with_tokenizer(config, tmp_path):
    """Settings whose data set goes through a tokenizer of transformers, and so is kept."""
    save_tokenizer(tmp_path / "tokenizer")
    keys = [("dataset.tokenizer", str(tmp_path / "tokenizer")), ("model.config.vocab_size", "304")]

    def settings(*more):
        return load_settings(str(config), [*keys, *more])

    return settings


def entries(cache):
    return sorted(path for path in (cache / "packs").glob("*"))


def equal(one, other):
    names = ("input_ids", "position_ids", "labels", "starts")
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in names)


def test_rows_are_made_once(with_tokenizer, own_cache, monkeypatch):
    first = load_rows(with_tokenizer(), "dataset")
    assert len(entries(own_cache)) == 1
    monkeypatch.setattr(data, "encode_all", None)  # a second tokenization would fail
    again = load_rows(with_tokenizer(), "dataset")
    assert equal(first, again)
    assert first.summary == again.summary
    assert again.summary.startswith("dataset: 7 documents, ")


KEYS = ("length", "limit", "tokenizer", "text", "malformed", "longest", "meaning")
UNPACKED = ("packed_sequence.packed_sequence_size", "0")


@pytest.mark.parametrize("key", KEYS)
def test_what_changes_the_rows_makes_another_pack(with_tokenizer, own_cache, tmp_path, key):
    always = [UNPACKED] if key == "longest" else []
    if key == "meaning":  # rows that are something else as HellaSwag's
        row = {"text": "a long text. " * 9, "ctx": "a context", "endings": ["a", "b"], "label": 1}
        (tmp_path / "text.jsonl").write_text((json.dumps(row) + "\n") * 9)
    before = load_rows(with_tokenizer(*always), "dataset")
    changes = {
        "longest": [("dataset.seq_length", "16")],
        "meaning": [("dataset._target_", HELLASWAG)],
        "length": [("packed_sequence.packed_sequence_size", "16")],
        "limit": [("dataset.num_samples_limit", "6")],
        "malformed": [("dataset.max_malformed_rows", "1")],
    }
    if key == "tokenizer":
        save_tokenizer(tmp_path / "tokenizer", vocabulary=280)
    if key == "text":
        with (tmp_path / "text.jsonl").open("a") as file:
            file.write('{"text": "one more document, about as long as the others are"}\n')
    after = load_rows(with_tokenizer(*always, *changes.get(key, [])), "dataset")
    assert len(entries(own_cache)) == 2
    if key != "malformed":
        assert not equal(before, after)


def test_where_a_file_lies_does_not_change_the_rows(with_tokenizer, own_cache, tmp_path):
    load_rows(with_tokenizer(), "dataset")
    shutil.copy(tmp_path / "text.jsonl", tmp_path / "copy.jsonl")
    load_rows(with_tokenizer(("dataset.path", str(tmp_path / "copy.jsonl"))), "dataset")
    assert len(entries(own_cache)) == 1


@pytest.mark.parametrize("damage", ["cut", "gone", "empty", "no about"])
def test_a_damaged_pack_is_made_again(with_tokenizer, own_cache, damage):
    before = load_rows(with_tokenizer(), "dataset")
    expected = {name: getattr(before, name).clone() for name in ("labels", "starts")}
    del before  # its pages are those of the files
    (entry,) = entries(own_cache)
    if damage == "cut":
        with (entry / "labels").open("r+b") as file:
            file.truncate(8)
    elif damage == "gone":
        (entry / "starts").unlink()
    elif damage == "empty":
        (entry / "about.json").write_text("")
    else:
        (entry / "about.json").unlink()
    again = load_rows(with_tokenizer(), "dataset")
    assert torch.equal(again.labels, expected["labels"])
    assert torch.equal(again.starts, expected["starts"])
    assert entries(own_cache) == [entry]  # nothing is left beside it
    assert sorted(path.name for path in entry.iterdir()) == [
        "about.json", "input_ids", "labels", "position_ids", "starts",
    ]  # fmt: skip


def test_a_cache_that_cannot_be_written_is_said(with_tokenizer, own_cache):
    own_cache.write_text("a file where the folder should be")
    rows = load_rows(with_tokenizer(), "dataset")
    assert len(rows) > 1
    assert "not kept in" in rows.summary


def test_a_pack_that_does_not_fit_leaves_nothing_behind(with_tokenizer, own_cache):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        rows = load_rows(with_tokenizer(), "dataset")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(rows) > 1
    assert "File too large), so made again next time" in rows.summary
    assert entries(own_cache) == []


def test_rows_that_are_written_to_do_not_change_the_pack(with_tokenizer):
    rows = load_rows(with_tokenizer(), "dataset")
    kept = rows.labels.clone()
    rows.labels.fill_(7)
    assert torch.equal(load_rows(with_tokenizer(), "dataset").labels, kept)


def test_what_a_killed_writer_left_is_cleared_away_a_day_later(with_tokenizer, own_cache):
    for name in (".new.0", ".old.0"):
        (own_cache / "packs" / name).mkdir(parents=True)
        (own_cache / "packs" / name / "labels").write_bytes(b"half of it")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(own_cache / "packs" / ".old.0", (two_days_ago, two_days_ago))
    load_rows(with_tokenizer(), "dataset")
    left = [entry.name for entry in entries(own_cache)]
    assert len(left) == 2
    assert left[0] == ".new.0"


def test_env_says_what_is_kept(with_tokenizer, own_cache, cli):
    assert kept_packs() == (0, 0)
    load_rows(with_tokenizer(), "dataset")
    load_rows(with_tokenizer(("dataset.num_samples_limit", "6")), "dataset")
    count, size = kept_packs()
    assert count == 2
    assert size == sum(file.stat().st_size for file in own_cache.rglob("*") if file.is_file()) > 0
    (line,) = [line for line in cli("env").out.splitlines() if line.startswith("packed data sets")]
    assert f" 2, {size / 1024:.1f} KiB in {own_cache}, which may be deleted" in line


def test_texts_are_read_batch_by_batch(with_tokenizer, monkeypatch):
    """No more than a batch of them is alive at once."""
    sizes = []
    encode = HubTokenizer.encode

    def encoding(self, pairs, end):
        sizes.append(len(pairs))
        return encode(self, pairs, end)

    monkeypatch.setattr(HubTokenizer, "encode", encoding)
    keys = [("packed_sequence.split_across_pack", "false"), ("dataset.num_samples_limit", "7")]
    whole = load_rows(with_tokenizer(*keys), "dataset")
    assert "documents cut to 32 tokens" in whole.summary
    assert sizes == [7]
    monkeypatch.setattr(data, "_TEXTS_AT_A_TIME", 3)
    keys[1] = ("dataset.num_samples_limit", "8")  # a pack of its own
    again = load_rows(with_tokenizer(*keys), "dataset")
    assert sizes == [7, 3, 3, 1]
    assert equal(whole, again)
    assert whole.summary == again.summary


def make_some(seconds=0.05):
    time.sleep(seconds)
    return PackedRows(
        *(torch.arange(6, dtype=torch.int32) for _ in range(3)), torch.tensor([0, 2, 6]), 4, 1, "a"
    )


def make_and_tell(start, results):
    start.wait()
    rows = cached_rows({"key": 1}, make_some)
    results.put([rows.labels.tolist(), rows.starts.tolist(), rows.width, rows.summary])


def test_processes_that_make_the_same_pack_do_no_harm(own_cache):
    context = multiprocessing.get_context("fork")
    start, results = context.Event(), context.Queue()
    workers = [context.Process(target=make_and_tell, args=(start, results)) for _ in range(4)]
    for worker in workers:
        worker.start()
    start.set()
    told = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert told == [[[0, 1, 2, 3, 4, 5], [0, 2, 6], 4, "a"]] * 4
    (entry,) = entries(own_cache)
    assert json.loads((entry / "about.json").read_text())["width"] == 4


def test_bytes_are_not_kept(config, own_cache):
    load_rows(load_settings(str(config)), "dataset")
    assert not own_cache.exists()
