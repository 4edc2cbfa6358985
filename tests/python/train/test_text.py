"""Reading documents."""

from __future__ import annotations

import json
import sys
import types

import pytest

import float8
from float8.train.config.document import Document
from float8.train.config.sections import Dataset
from float8.train.data.text import read_texts

DOCUMENT = Document("c.yaml", {}, {"dataset.path": 3, "dataset.max_malformed_rows": 4})
HELLASWAG = "nemo_automodel.components.datasets.llm.hellaswag.HellaSwag"


def texts_of(**keys):
    return read_texts(DOCUMENT, "dataset", Dataset(**keys))


def read(**keys) -> list[str]:
    texts = texts_of(**keys)
    assert texts.ends
    assert not texts.prompted
    assert not any(prompt for prompt, _ in texts.pairs())
    return [completion for _, completion in texts.pairs()]


def error_of(path, line=3, **keys) -> str:
    with pytest.raises(float8.ConfigError) as caught:
        read(path=str(path), **keys)
    assert f"c.yaml:{line}" in str(caught.value)
    return str(caught.value)


def test_the_python_documentation_splits_without_overlap():
    train, held_out = read(split="train"), read(split="validation")
    assert not set(train) & set(held_out)
    assert sorted(train + held_out) == sorted(read())
    assert sum(map(len, train)) > 300_000


def test_a_text_file_is_one_document(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one\n\ntwo é", encoding="utf-8")
    assert read(path=str(path)) == ["one\n\ntwo é"]
    assert read(path_or_dataset=str(path)) == ["one\n\ntwo é"]


def test_json_lines_are_documents_up_to_the_limit(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n\n{"text": "b", "more": 1}\n{"text": "c"}\n')
    assert read(path=str(path)) == ["a", "b", "c"]
    assert read(path=str(path), num_samples_limit=2) == ["a", "b"]


@pytest.mark.parametrize(
    "line",
    [
        '{"prompt": "a"}',
        '{"completion": "b"}',
        '{"prompt": "a", "completion": ["b"]}',
        "\xff",
        "{",
        "[]",
        "1",
        '{"txt": "a"}',
        '{"text": 1}',
        '{"text": null}',
        "[" * 100_000,
    ],
)
def test_a_malformed_line_is_named(tmp_path, line):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a"}\n' + line.encode("latin-1") + b"\n")
    assert f"{path}:2" in error_of(path)


def test_a_missing_file_a_folder_and_latin_1_are_named(tmp_path):
    assert "No such file" in error_of(tmp_path / "none.txt")
    assert "JSONL or Parquet files, all of one kind" in error_of(tmp_path)
    latin = tmp_path / "latin.txt"
    latin.write_bytes("café".encode("latin-1"))
    assert "byte 0xe9" in error_of(latin)


def test_one_text_is_enough(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": ""}\n{"text": "a"}\n{"text": ""}\n')
    assert read(path=str(path)) == ["", "a", ""]


def test_an_empty_file_is_an_error(tmp_path):
    path = tmp_path / "empty.txt"
    path.write_text("")
    with pytest.raises(float8.ConfigError, match="text to train on"):
        read(path=str(path))


def test_prompts_and_completions_stay_apart(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "q: ", "completion": "a"}\n{"text": "plain"}\n')
    texts = texts_of(path=str(path))
    assert list(texts.pairs()) == [("q: ", "a"), ("", "plain")]
    assert texts.prompted
    assert texts.ends


def hellaswag(tmp_path, *rows, name="train.jsonl"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


GOOD = {"ctx": "A man", "endings": ["sits.", "flies.", "", "sings."], "label": "3", "ind": 4}


def test_hellaswag_is_the_context_and_the_right_ending(tmp_path):
    path = hellaswag(tmp_path, GOOD, {**GOOD, "label": 0})
    texts = texts_of(_target_=HELLASWAG, path_or_dataset=str(path))
    assert list(texts.pairs()) == [("A man", "sings."), ("A man", "sits.")]
    assert not texts.ends  # the reference's rows have no mark of the end


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": "4"}, "`label` 4 is not in 0 to 3"),
        ({"label": -1}, "`label` -1 is not in 0 to 3"),
        ({"label": ""}, "`label` is no number: ''"),
        ({"label": "1.0"}, "`label` is no number"),
        ({"label": True}, "`label` is no number: True"),
        ({"label": None}, "`label` is no number: None"),
        ({"label": 0, "endings": []}, "not in 0 to -1"),
        ({"endings": "sits."}, "`endings` is no list of strings"),
        ({"endings": [1, 2, 3, 4]}, "`endings` is no list of strings"),
        ({"ctx": None}, "`ctx` is no string"),
    ],
)
def test_a_wrong_hellaswag_row_is_named(tmp_path, change, said):
    path = hellaswag(tmp_path, GOOD, {**GOOD, **change})
    text = error_of(path, _target_=HELLASWAG)
    assert f"{path}:2" in text
    assert said in text
    assert "max_malformed_rows" in text


def test_a_missing_column_is_named_beside_those_that_are_there(tmp_path):
    path = hellaswag(tmp_path, {"text": "a", "label": 0})
    assert "no column `endings`; it has `text`, `label`" in error_of(path, _target_=HELLASWAG)
    path = hellaswag(tmp_path, GOOD)
    assert "no column `text`; it has `ctx`, `endings`, `label`, `ind`" in error_of(path)


def test_malformed_rows_are_left_out_up_to_the_limit(tmp_path):
    bad = [{**GOOD, "label": 9} for _ in range(7)]
    path = hellaswag(tmp_path, GOOD, *bad, GOOD)
    keys = {"_target_": HELLASWAG, "path": str(path)}
    texts = texts_of(**keys, max_malformed_rows=7)
    assert len(list(texts.pairs())) == texts.count == 2
    assert texts.malformed == 7
    assert texts.named[0] == f"{path}:2 (`label` 9 is not in 0 to 3)"
    assert len(texts.named) == 5
    text = error_of(path, line=4, _target_=HELLASWAG, max_malformed_rows=6)
    assert "at most 6 others" in text
    assert f"{path}:2" in text
    assert "and 2 more" in text
    # The limit on rows counts good ones, and what is not read is not malformed.
    assert texts_of(**keys, num_samples_limit=1).malformed == 0
    assert texts_of(**keys, num_samples_limit=2, max_malformed_rows=7).count == 2


def test_rows_are_looked_at_once_and_read_again(tmp_path):
    """Texts that were all in memory would not change with their file."""
    path = hellaswag(tmp_path, GOOD, {**GOOD, "label": 9}, GOOD)
    texts = texts_of(_target_=HELLASWAG, path=str(path), max_malformed_rows=1)
    assert (texts.count, texts.prompted) == (2, True)
    for _ in range(2):
        assert list(texts.pairs()) == [("A man", "sings.")] * 2
    hellaswag(tmp_path, *[{**GOOD, "ctx": "A cat"}] * 3)
    assert list(texts.pairs()) == [("A cat", "sings.")] * 2


@pytest.mark.parametrize(
    ("names", "split", "found"),
    [
        (["train.jsonl", "validation.jsonl"], "train", ["train.jsonl"]),
        (["hellaswag_train.jsonl", "hellaswag_val.jsonl"], "validation", ["hellaswag_val.jsonl"]),
        (["data/train-0.jsonl", "data/train-1.jsonl"], "train", ["train-0.jsonl", "train-1.jsonl"]),
        (["a.jsonl", "b.jsonl", "readme.md"], None, ["a.jsonl", "b.jsonl"]),
    ],
)
def test_a_folder_has_splits(tmp_path, names, split, found):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps({"text": name.split("/")[-1]}))
    assert read(path_or_dataset=str(tmp_path), split=split) == found


def test_a_folder_without_the_split_says_what_it_has(tmp_path):
    hellaswag(tmp_path, GOOD, name="training.jsonl")
    text = error_of(tmp_path, split="train")
    assert "the split train" in text
    assert "training.jsonl" in text
    (tmp_path / "train.jsonl").touch()
    (tmp_path / "train.parquet").touch()
    assert "all of one kind" in error_of(tmp_path, split="train")


def test_parquet_rows_are_those_of_json(tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="reads Parquet with pyarrow (extra data)")
    from pyarrow import parquet

    rows = [{**GOOD, "label": str(number % 5)} for number in range(6)]
    table = arrow.Table.from_pylist(rows)
    parquet.write_table(table, tmp_path / "train-00000-of-00001.parquet", row_group_size=2)
    keys = {"_target_": HELLASWAG, "split": "train", "max_malformed_rows": 1}
    texts = texts_of(path_or_dataset=str(tmp_path), **keys)
    assert list(texts.pairs()) == [
        ("A man", GOOD["endings"][number % 5]) for number in (0, 1, 2, 3, 5)
    ]
    assert texts.named[0].startswith(f"{tmp_path}/train-00000-of-00001.parquet: row 5 (")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and more")
    assert "a Parquet file" in error_of(broken)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.parquet").touch()
    assert "pip install 'float8[data]'" in error_of(tmp_path / "a.parquet")


class FakeHub(types.ModuleType):
    """Stands in for the package datasets: no network in a test."""

    def __init__(self, rows):
        super().__init__("datasets")
        self.rows, self.asked = rows, []

    def load_dataset(self, name, split):
        self.asked.append((name, split))
        if isinstance(self.rows, Exception):
            raise self.rows
        return type("Rows", (list,), {"_fingerprint": "0"})(self.rows)


def test_a_hub_name_is_read_by_datasets(monkeypatch):
    hub = FakeHub([GOOD, {**GOOD, "label": "1"}])
    monkeypatch.setitem(sys.modules, "datasets", hub)
    texts = texts_of(_target_=HELLASWAG, path_or_dataset="rowan/hellaswag", split="validation")
    assert list(texts.pairs()) == [("A man", "sings."), ("A man", "flies.")]
    assert hub.asked == [("rowan/hellaswag", "validation")]


@pytest.mark.parametrize("failure", [None, ConnectionError("no route to the hub\nmore")])
def test_a_hub_that_cannot_be_had_says_how_to_use_local_files(monkeypatch, failure):
    monkeypatch.setitem(sys.modules, "datasets", failure and FakeHub(failure))
    with pytest.raises(float8.ConfigError) as caught:
        texts_of(_target_=HELLASWAG, path_or_dataset="rowan/hellaswag", split="train")
    text = str(caught.value)
    assert "dataset.path_or_dataset" in text
    assert "a folder with train.jsonl and validation.jsonl" in text
    assert ("no route to the hub" if failure else "pip install 'float8[data]'") in text


def test_a_file_that_is_missing_is_not_looked_for_on_the_hub(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", FakeHub([]))
    for name in ("data/train.jsonl", "./rows", "/no/such/folder"):
        with pytest.raises(float8.ConfigError, match="No such file"):
            texts_of(path_or_dataset=name)
