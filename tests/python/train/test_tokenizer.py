"""Tokenizers of transformers: what they put around a text, and which of them cannot be used."""

from __future__ import annotations

import json

import pytest
from tiny_tokenizer import save_tokenizer

import float8
from float8.train.config.settings import load_settings
from float8.train.data.loader import load_rows
from float8.train.data.tokenizer import check_vocabulary, load_tokenizer


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two tokenizers, with a mark of the beginning and without."""
    made = {}
    for before in (True, False):
        made[before] = tmp_path_factory.mktemp("tokenizer")
        save_tokenizer(made[before], before=before)
    return made


def tokenizer_of(config, folder, *more):
    settings = load_settings(str(config), [("dataset.tokenizer", str(folder)), *more])
    return load_tokenizer(settings)


@pytest.mark.parametrize("before", [True, False])
def test_a_row_is_what_the_reference_makes_of_it(config, folders, before):
    """The reference strips the special tokens between the two, and puts no mark at the end."""
    from transformers import AutoTokenizer

    reference = AutoTokenizer.from_pretrained(folders[before])
    pairs = [("the man sits", "on a chair. é"), ("", "how to"), ("jeans", "")]
    documents = tokenizer_of(config, folders[before]).encode(pairs, end=False)
    offset = 0
    for (prompt, completion), size, masked in zip(
        pairs, documents.lengths.tolist(), documents.prompts.tolist(), strict=True
    ):
        context = reference(prompt)["input_ids"]
        target = reference(completion)["input_ids"][1 if before else 0 :]
        assert documents.tokens[offset : offset + size].tolist() == context + target
        assert masked == len(context)
        offset += size
    assert documents.tokens.numel() == offset


def test_a_mark_of_the_end_where_it_is_asked_for(config, folders):
    tokenizer = tokenizer_of(config, folders[True])
    texts = [("", "the man"), ("a", "chair")]
    plain, marked = tokenizer.encode(texts, end=False), tokenizer.encode(texts, end=True)
    assert (marked.lengths - plain.lengths).tolist() == [1, 1]
    assert marked.tokens[marked.lengths.cumsum(0) - 1].tolist() == [1, 1]


def test_tokens_turn_back_into_the_text(config, folders):
    from transformers import AutoTokenizer

    text = "Naïve café, 東京 🎈\n\tthe end"
    tokens = tokenizer_of(config, folders[False]).encode([("", text)], end=False).tokens
    assert AutoTokenizer.from_pretrained(folders[False]).decode(tokens) == text


def test_fingerprints_tell_tokenizers_apart(config, folders, tmp_path):
    one = tokenizer_of(config, folders[True]).fingerprint
    assert one == tokenizer_of(config, folders[True]).fingerprint
    assert one != tokenizer_of(config, folders[False]).fingerprint
    save_tokenizer(tmp_path / "other", vocabulary=290)
    assert one != tokenizer_of(config, tmp_path / "other").fingerprint


def test_more_tokens_than_the_model_has_is_an_error(config, folders):
    settings = load_settings(str(config), [("dataset.tokenizer", str(folders[True]))])
    with pytest.raises(float8.ConfigError) as caught:
        load_rows(settings, "dataset")
    assert "at most as many tokens as the model has (272)" in str(caught.value)
    assert "300 of the tokenizer" in str(caught.value)
    tokenizer = load_tokenizer(settings)
    check_vocabulary(settings, tokenizer, 300)  # as many fit
    check_vocabulary(settings, tokenizer, None)  # a model that does not say


def test_too_few_embeddings_for_bytes_are_an_error(config):
    settings = load_settings(str(config), [("model.config.vocab_size", "256")])
    with pytest.raises(float8.ConfigError, match=r"257 of the tokenizer `bytes`") as caught:
        load_rows(settings, "dataset")
    assert "model.config.vocab_size" in str(caught.value)


def test_no_tokenizer_there_names_the_key(config, tmp_path):
    with pytest.raises(float8.ConfigError) as caught:
        tokenizer_of(config, tmp_path)
    assert "dataset.tokenizer" in str(caught.value)
    assert "a local folder with a tokenizer" in str(caught.value)


def test_code_of_a_tokenizer_runs_only_with_both_consents(config, tmp_path):
    folder = tmp_path / "own"
    save_tokenizer(folder)
    about = json.loads((folder / "tokenizer_config.json").read_text())
    about |= {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    (folder / "own.py").write_text("raise RuntimeError('code was run')")
    for key in ("false", "true"):
        for flag in (False, True):
            settings = load_settings(
                str(config),
                [("dataset.tokenizer", str(folder)), ("model.trust_remote_code", key)],
                trust_remote_code=flag,
            )
            try:
                load_tokenizer(settings)
                ran = False
            except float8.ConfigError as error:
                ran = "code was run" in str(error)
            assert ran == (key == "true" and flag)


@pytest.mark.parametrize(
    "value", ["{folder}", "{{pretrained_model_name_or_path: {folder}, _target_: {target}}}"]
)
def test_the_name_alone_or_the_references_map(config, folders, value):
    target = "transformers.AutoTokenizer.from_pretrained"
    value = value.format(folder=folders[True], target=target)
    assert tokenizer_of(config, value).vocabulary == 300
