"""The model that the programs of this folder train: tiny_llama.py FOLDER SEED... saves some."""

import sys
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

#: Linear layers in the decoder, and those beside it (lm_head).
LAYERS, HEADS = 2 * 7, 1


def tiny_llama(seed: int, vocabulary: int = 112) -> LlamaForCausalLM:
    """Random weights in BF16; each seed draws others."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
    )
    return LlamaForCausalLM(config).bfloat16()


if __name__ == "__main__":
    for seed in sys.argv[2:]:
        tiny_llama(int(seed)).save_pretrained(Path(sys.argv[1]) / seed)
