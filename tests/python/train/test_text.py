"""Reading documents."""

from __future__ import annotations

import pytest

import float8
from float8.train.document import Document
from float8.train.sections import Dataset
from float8.train.text import read_documents

DOCUMENT = Document("c.yaml", {}, {"dataset.path": 3})


def read(**keys) -> list[str]:
    return read_documents(DOCUMENT, "dataset", Dataset(**keys))


def error_of(path) -> str:
    with pytest.raises(float8.ConfigError) as caught:
        read(path=str(path))
    assert "c.yaml:3" in str(caught.value)
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
    "line", ["{", "[]", "1", '{"txt": "a"}', '{"text": 1}', '{"text": null}', "[" * 100_000]
)
def test_a_malformed_line_is_named(tmp_path, line):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n' + line + "\n")
    assert f"{path}:2" in error_of(path)


def test_a_missing_file_a_folder_and_latin_1_are_named(tmp_path):
    assert "No such file" in error_of(tmp_path / "none.txt")
    assert "directory" in error_of(tmp_path)
    latin = tmp_path / "latin.txt"
    latin.write_bytes("café".encode("latin-1"))
    assert "byte 0xe9" in error_of(latin)


def test_an_empty_file_is_an_error(tmp_path):
    path = tmp_path / "empty.txt"
    path.write_text("")
    with pytest.raises(float8.ConfigError, match="text to train on"):
        read(path=str(path))
