"""The layers that are measured: Llama 3, with q, k, v and gate, up in one matrix each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shape:
    """A linear layer on M tokens: X [M, K], W [N, K]."""

    model: str
    layer: str
    m: int
    k: int
    n: int

    @property
    def flops(self) -> int:
        """Of the three products."""
        return 6 * self.m * self.k * self.n

    def subject(self) -> dict[str, Any]:
        """What a record says of it."""
        return dict(vars(self))

    def __str__(self) -> str:
        return f"{self.model} {self.layer:7} | m={self.m:5} n={self.n:5} k={self.k:5}"


LAYERS = {
    "8B": {"gate_up": (4096, 28672), "down": (14336, 4096), "qkv": (4096, 6144), "o": (4096, 4096)},
    "70B": {
        "gate_up": (8192, 57344),
        "down": (28672, 8192),
        "qkv": (8192, 10240),
        "o": (8192, 8192),
    },
}
SMOKE_LAYERS = {"tiny": {"gate_up": (64, 96)}}
TOKENS = (8192, 16384, 4096)  # the goals' first
SMOKE_TOKENS = (32,)


def shapes(smoke: bool) -> list[Shape]:
    """The most important first: 8B before 70B, 8k tokens before the others."""
    layers, tokens = (SMOKE_LAYERS, SMOKE_TOKENS) if smoke else (LAYERS, TOKENS)
    return [
        Shape(model, layer, m, k, n)
        for m in tokens
        for model, own in layers.items()
        for layer, (k, n) in own.items()
    ]
