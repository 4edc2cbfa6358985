"""torchao's name for the filter of layers that are too small to gain."""

import pytest
from torch import nn

from float8 import ConfigError
from float8.float8_linear_utils import _auto_filter_for_recipe


@pytest.mark.parametrize(
    ("name", "shape", "converted"),
    [
        ("layers.0.up_proj", (8192, 28672), True),
        ("layers.0.up_proj", (64, 64), False),
        ("layers.0.up_proj", (8192, 28673), False),
        ("lm_head", (8192, 28672), False),
    ],
    ids=["large", "small", "unaligned", "named"],
)
@pytest.mark.parametrize("recipe", ["tensorwise", "rowwise", "rowwise_with_gw_hp"])
def test_auto_filter_converts_what_gains(
    recipe: str, name: str, shape: tuple[int, int], converted: bool
) -> None:
    layer = nn.Linear(*shape, device="meta")
    assert _auto_filter_for_recipe(recipe, ["lm_head"])(layer, name) is converted


def test_auto_filter_leaves_other_modules_out() -> None:
    assert _auto_filter_for_recipe("tensorwise", [])(nn.ReLU(), "act") is False


def test_auto_filter_of_an_unknown_recipe_is_an_error() -> None:
    with pytest.raises(ConfigError, match="tensorwise"):
        _auto_filter_for_recipe("columnwise", [])
