"""Packed rows: their positions and labels, and that no document sees another."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from float8.train.packing import END_OF_DOCUMENT, IGNORED, encode, pack


def test_tokens_are_bytes_and_an_end():
    assert encode("aé").tolist() == [97, 0xC3, 0xA9, END_OF_DOCUMENT]
    assert encode("").tolist() == [END_OF_DOCUMENT]


def test_positions_restart_and_first_labels_are_masked():
    rows = pack(["ab", "cdef"], 4)  # a b # c | d e f #
    assert rows.input_ids.tolist() == [[97, 98, 256, 99], [100, 101, 102, 256]]
    assert rows.position_ids.tolist() == [[0, 1, 2, 0], [0, 1, 2, 3]]
    assert rows.labels.tolist() == [
        [98, 256, IGNORED, IGNORED],
        [101, 102, 256, IGNORED],
    ]


@given(st.lists(st.text(max_size=20), max_size=12), st.integers(2, 9))
def test_a_label_is_the_next_token_of_the_same_document(texts, length):
    rows = pack(texts, length)
    tokens = [token for text in texts if text for token in encode(text).tolist()]
    flat = rows.input_ids.flatten().tolist()
    assert flat == tokens[: len(tokens) // length * length]
    for i, label in enumerate(rows.labels.flatten().tolist()):
        last_of_row = i % length == length - 1
        last_of_document = flat[i] == END_OF_DOCUMENT
        assert label == (IGNORED if last_of_row or last_of_document else flat[i + 1])
    for row, positions in zip(rows.input_ids.tolist(), rows.position_ids.tolist(), strict=True):
        for i, position in enumerate(positions):
            restarts = i == 0 or row[i - 1] == END_OF_DOCUMENT
            assert position == (0 if restarts else positions[i - 1] + 1)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_document_in_a_packed_row_gets_the_same_logits_as_alone(training, attention):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=272, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, attn_implementation=attention,
        initializer_range=0.5,  # large weights, so that a leak would be large too
    )  # fmt: skip
    model = LlamaForCausalLM(config).train(training)
    rows = pack(["first one", "second document"], 26)
    packed = model(rows.input_ids, position_ids=rows.position_ids, use_cache=False).logits
    alone = encode("second document")[None]
    expected = model(alone, use_cache=False).logits
    # float32 sums in another order, over logits of the order of 10.
    torch.testing.assert_close(packed[:, 10:], expected, rtol=1e-4, atol=1e-4)
