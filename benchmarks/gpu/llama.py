"""The model of the training step: Llama 3 8B's shapes in four layers, built by transformers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

SHAPE: dict[str, Any] = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 4,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
    "rope_theta": 500000.0,
}
TOKENS = 8192
SMOKE_SHAPE = SHAPE | {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 256,
    "max_position_embeddings": 32,
}
SMOKE_TOKENS = 32


def keep_head(module: nn.Module, name: str) -> bool:
    """All but the last layer, as is usual."""
    return not name.endswith("lm_head")


class Model:
    """A model with its optimizer: one candidate.

    Args:
        device: its name.
        smoke: the small one.
        convert: makes FP8 layers of it, in place or not; None leaves it in BF16.
        backend: torch.compile's. Each block is compiled, as `float8 train` does.
    """

    def __init__(
        self,
        device: str,
        smoke: bool,
        convert: Callable[[nn.Module], nn.Module] | None,
        backend: str,
    ) -> None:
        from transformers import AutoModelForCausalLM, LlamaConfig

        shape = SMOKE_SHAPE if smoke else SHAPE
        self.tokens = SMOKE_TOKENS if smoke else TOKENS
        torch.manual_seed(0)
        config = LlamaConfig(use_cache=False, tie_word_embeddings=False, **shape)
        with torch.device(device):
            model: Any = AutoModelForCausalLM.from_config(
                config, attn_implementation="sdpa", dtype=torch.bfloat16
            )
            self.ids = torch.randint(shape["vocab_size"], (1, self.tokens))
        model.train()
        self.model: Any = convert(model) if convert else model
        self.blocks = list(self.model.model.layers)
        for block in self.blocks:
            block.compile(dynamic=False, backend=backend)
        self._optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, fused=device != "cpu")
        self.losses: list[torch.Tensor] = []

    def step(self) -> None:
        """Forward, backward, optimizer."""
        loss = self.model(input_ids=self.ids, labels=self.ids).loss
        loss.backward()
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.losses.append(loss.detach())

    def block_forward(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The first block on random input that wants a gradient: the input and the output."""
        inner = self.model.model
        torch.manual_seed(0)
        size = (1, self.tokens, inner.config.hidden_size)
        x = torch.randn(size, device=self.ids.device, dtype=torch.bfloat16, requires_grad=True)
        positions = torch.arange(self.tokens, device=self.ids.device)[None]
        embeddings = inner.rotary_emb(x, positions)
        output = self.blocks[0](x, position_embeddings=embeddings, position_ids=positions)
        return x, output[0] if isinstance(output, tuple) else output
