"""Rows: their positions and labels, and that no document sees another."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from float8.train.data import packing
from float8.train.data.packing import IGNORED, cut, lay_out
from float8.train.data.tokenizer import END_OF_DOCUMENT, ByteTokenizer

PAIRS = st.lists(st.tuples(st.text(max_size=6), st.text(max_size=9)), min_size=1, max_size=12)


def documents_of(*pairs):
    pairs = [("", pair) if isinstance(pair, str) else pair for pair in pairs]
    return ByteTokenizer().encode(pairs, end=True)


def grid(rows):
    batch = rows.collate([rows[index] for index in range(len(rows))])
    return {name: tensor.tolist() for name, tensor in batch.items()}


def test_tokens_are_bytes_and_an_end():
    documents = documents_of(("a", "é"), "", ("b", ""))
    assert documents.tokens.tolist() == [97, 0xC3, 0xA9, 256, 256, 98, 256]
    assert documents.lengths.tolist() == [4, 1, 2]
    assert documents.prompts.tolist() == [1, 0, 1]


def test_positions_restart_and_first_labels_are_masked():
    rows = grid(lay_out(documents_of("ab", "cdef"), 4, split=True))  # a b # c | d e f #
    assert rows["input_ids"] == [[97, 98, 256, 99], [100, 101, 102, 256]]
    assert rows["position_ids"] == [[0, 1, 2, 0], [0, 1, 2, 3]]
    assert rows["labels"] == [[98, 256, IGNORED, IGNORED], [101, 102, 256, IGNORED]]


def test_a_whole_document_begins_the_next_row_and_its_prompt_is_no_target():
    rows = grid(lay_out(documents_of(("ab", "c"), ("d", "e"), ("", "f")), 6, split=False))
    assert rows["input_ids"] == [[97, 98, 99, 256, 0, 0], [100, 101, 256, 102, 256, 0]]
    assert rows["position_ids"] == [[0, 1, 2, 3, 0, 1], [0, 1, 2, 0, 1, 0]]
    assert rows["labels"] == [
        [IGNORED, 99, 256, IGNORED, IGNORED, IGNORED],
        [101, 256, IGNORED, 256, IGNORED, IGNORED],
    ]


def test_a_prompt_that_goes_on_in_the_next_row_is_no_target_there_either():
    rows = grid(lay_out(documents_of(("abcdef", "g")), 4, split=True))  # a b c d | e f g #
    assert rows["labels"] == [[IGNORED] * 4, [IGNORED, 103, 256, IGNORED]]


def test_unpacked_rows_are_padded_to_the_widest_and_to_a_multiple():
    import dataclasses

    rows = lay_out(documents_of(("ab", "c"), "d"), 0, split=False)
    assert rows[1]["input_ids"].tolist() == [100, 256]
    assert grid(rows)["input_ids"] == [[97, 98, 99, 256], [100, 256, 0, 0]]
    assert grid(rows)["position_ids"] == [[0, 1, 2, 3], [0, 1, 0, 1]]
    assert grid(rows)["labels"][1] == [256, IGNORED, IGNORED, IGNORED]
    assert rows.collate([rows[1]])["input_ids"].shape == (1, 2)
    to_longest = dataclasses.replace(rows, width=rows.longest, divisible=3)
    assert to_longest.longest == to_longest.collate([rows[1]])["input_ids"].numel() == 6


@pytest.mark.parametrize("split", [True, False])
@given(PAIRS, st.integers(2, 12))
def test_a_label_is_the_next_token_of_the_same_completion(split, pairs, length):
    """Against a plain walk over the tokens of each document."""
    documents = documents_of(*pairs)
    if not split:
        documents, _, _ = cut(documents, length, drop=False)
    rows = lay_out(documents, length, split)
    expected, row = [], []
    offset = 0
    for size, prompt in zip(documents.lengths.tolist(), documents.prompts.tolist(), strict=True):
        tokens = documents.tokens[offset : offset + size].tolist()
        offset += size
        if not split and len(row) + size > length:
            expected.append(row)
            row = []
        position = 0
        for place, token in enumerate(tokens):
            if len(row) == length:
                expected.append(row)
                row, position = [], 0
            following = tokens[place + 1] if place + 1 < size and len(row) < length - 1 else None
            label = following if following is not None and place + 1 >= prompt else IGNORED
            row.append((token, position, label))
            position += 1
    if row and (not split or len(row) == length):
        expected.append(row)
    batch = grid(rows) if len(rows) else {"input_ids": [], "position_ids": [], "labels": []}
    assert len(rows) == len(expected)
    for index, walked in enumerate(expected):
        padding = length - len(walked)
        walked = walked + [(0, place, IGNORED) for place in range(padding)]
        names = ("input_ids", "position_ids", "labels")
        assert [list(column) for column in zip(*walked, strict=True)] == [
            batch[name][index] for name in names
        ]


@pytest.mark.parametrize(("length", "split"), [(0, False), (8, True), (8, False)])
def test_rows_do_not_depend_on_how_many_documents_are_laid_out_at_a_time(
    length, split, monkeypatch
):
    texts = [("ab" * (i % 3), "c" * (i % 6)) for i in range(20)]
    documents, _, _ = cut(documents_of(*texts), 0 if split else 8, drop=False)
    whole = grid(lay_out(documents, length, split))
    for number in (1, 3):
        monkeypatch.setattr(packing, "_AT_A_TIME", number)
        assert grid(lay_out(documents, length, split)) == whole


def test_too_long_documents_are_cut_or_dropped_and_counted():
    documents = documents_of(("ab", "cdef"), ("abcdefgh", "i"), ("a", "b"), ("", ""))
    left, shortened, left_out = cut(documents, 5, drop=False)
    assert (shortened, left_out) == (1, 2)  # the second is all prompt, the last all end
    assert left.tokens.tolist() == [97, 98, 99, 100, 101, 97, 98, 256]
    assert left.lengths.tolist() == [5, 3]
    left, shortened, left_out = cut(documents, 5, drop=True)
    assert (left.lengths.tolist(), shortened, left_out) == ([3], 0, 3)
    left, shortened, left_out = cut(documents, 0, drop=True)
    assert (left.lengths.tolist(), shortened, left_out) == ([7, 10, 3], 0, 1)


def test_no_documents_make_no_rows():
    nothing = documents_of()
    for length, split in ((0, False), (4, True), (4, False)):
        assert len(lay_out(nothing, length, split)) == 0


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("length", [0, 26])
def test_a_document_in_a_row_gets_the_same_logits_as_alone(training, attention, length):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=272, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, attn_implementation=attention,
        initializer_range=0.5,  # large weights, so that a leak would be large too
    )  # fmt: skip
    model = LlamaForCausalLM(config).train(training)
    # Packed: both in the first row, then one that is padded. Unpacked: three rows of a batch.
    rows = lay_out(documents_of("first one", "second document", "third"), length, split=False)
    batch = rows.collate([rows[index] for index in range(len(rows))])
    logits = model(batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits
    places = {"second document": (0, 10), "third": (1, 0)} if length else {
        "first one": (0, 0), "second document": (1, 0), "third": (2, 0)
    }  # fmt: skip
    for text, (row, start) in places.items():
        alone = torch.tensor([[*text.encode(), END_OF_DOCUMENT]])
        expected = model(alone, use_cache=False).logits[0]
        # float32 sums in another order, over logits of the order of 10.
        there = logits[row, start : start + alone.numel()]
        torch.testing.assert_close(there, expected, rtol=1e-4, atol=1e-4)
