"""from_float does not silently drop what a layer computes beside nn.Linear's product."""

import pytest
import torch
from torch import nn

from float8 import Float8Linear


class Doubled(nn.Linear):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(input)


def replaced() -> nn.Linear:
    layer = nn.Linear(16, 16)
    layer.forward = lambda input: input
    return layer


def parametrized() -> nn.Linear:
    layer = nn.Linear(16, 16)
    nn.utils.parametrize.register_parametrization(layer, "weight", nn.Identity())
    return layer


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (Doubled(16, 16), "Doubled has a forward of its own"),
        (replaced(), "replaced on the module"),
        (parametrized(), "parametrized"),
        (nn.Conv1d(16, 16, 1), "must be an nn.Linear"),
    ],
    ids=["subclass", "replaced", "parametrized", "no linear"],
)
def test_from_float_names_what_it_would_lose(layer: nn.Module, why: str) -> None:
    with pytest.raises(TypeError, match=why):
        Float8Linear.from_float(layer)
