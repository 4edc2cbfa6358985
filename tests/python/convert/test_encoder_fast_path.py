"""nn.TransformerEncoderLayer in evaluation: its fast path would compute in high precision."""

import copy

import pytest
import torch
from checks import CallCounter
from reference_linear import RECIPES, config_of
from torch import nn

from float8 import Float8Linear, convert_to_float8_training

PRODUCTS = 2  # linear1 and linear2; the attention's own are not converted


def layer(**options):
    torch.manual_seed(0)
    return nn.TransformerEncoderLayer(
        32, 2, dim_feedforward=64, dropout=0.0, batch_first=True, **options
    )


def assert_nearly_same(actual, expected):
    """The attention has a fast path of its own, whose last bits can tip a value's cast: a step of
    E4M3, 1/8, in one of 64 terms."""
    torch.testing.assert_close(actual, expected, rtol=0, atol=0.05)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_evaluation_computes_in_fp8(name, activation):
    model = convert_to_float8_training(layer(activation=activation), config=config_of(name))
    x = torch.randn(2, 5, 32)
    trained = model(x).detach()
    for mode in (torch.no_grad, torch.inference_mode):
        with mode(), CallCounter() as counter:
            assert_nearly_same(model.eval()(x), trained)
        assert counter.counts["float8::scaled_mm"] == PRODUCTS


@pytest.mark.parametrize("frozen", [False, True])
def test_encoder_with_a_padding_mask(frozen):
    encoder = nn.TransformerEncoder(layer(), num_layers=2)
    convert_to_float8_training(encoder, config=config_of("rowwise")).eval()
    encoder.requires_grad_(not frozen)
    x = torch.randn(2, 5, 32)
    mask = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    # Rows of the padding are free; where gradients are recorded no fast path is taken.
    expected = encoder.requires_grad_(True)(x, src_key_padding_mask=mask)
    encoder.requires_grad_(not frozen)
    with torch.no_grad(), CallCounter() as counter:
        assert_nearly_same(encoder(x, src_key_padding_mask=mask), expected.detach())
    assert counter.counts["float8::scaled_mm"] == 2 * PRODUCTS


def test_copies_stay_so():
    model = convert_to_float8_training(layer(), config=config_of("rowwise")).eval()
    x = torch.randn(2, 5, 32)
    with torch.no_grad(), CallCounter() as counter:
        copy.deepcopy(model)(x)
    assert counter.counts["float8::scaled_mm"] == PRODUCTS


def test_layers_that_stay_in_high_precision_keep_their_fast_path():
    model = nn.ModuleList([layer(), nn.Linear(32, 32)])
    convert_to_float8_training(
        model, config=config_of("rowwise"), module_filter_fn=lambda _, name: name == "1"
    )
    assert isinstance(model[1], Float8Linear)
    assert model[0].activation_relu_or_gelu == layer().activation_relu_or_gelu != 0
