"""Trains a tiny Llama by accelerate's mixed_precision="fp8": accelerate_fp8.py bf16|fp8 [STEPS].

It knows torchao only. Prints one line of JSON at its end: the losses, how many layers were
converted to whose class, and how often float8's product ran. Run it alone, under
`python -m float8.as_torchao`, and in several processes by `accelerate launch`.
"""

import json
import sys

import torch
from accelerate import Accelerator
from accelerate.utils import AORecipeKwargs
from torch.profiler import ProfilerActivity, profile
from torchao.float8 import Float8LinearConfig
from torchao.float8.float8_linear import Float8Linear
from transformers import LlamaConfig, LlamaForCausalLM

ROWS = 4


def tiny_llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=32,
    )
    return LlamaForCausalLM(config).bfloat16()


def main(precision: str, steps: int) -> None:
    recipe = AORecipeKwargs(config=Float8LinearConfig(emulate=True))
    fp8 = precision == "fp8"
    accelerator = Accelerator(
        cpu=True, mixed_precision=precision, kwargs_handlers=[recipe] if fp8 else []
    )
    model = tiny_llama()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    rows = [(torch.arange(16) * (1 + i % 3) + 5 * i) % 64 for i in range(ROWS * steps)]
    loader = torch.utils.data.DataLoader(
        [{"input_ids": row, "labels": row} for row in rows],
        batch_size=ROWS // accelerator.num_processes,
    )
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    converted = [m for m in layers if isinstance(m, Float8Linear)]
    losses = []
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiler:
        for batch in loader:
            loss = model(**batch).loss
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(accelerator.reduce(loss.detach().float(), "mean").item())
    counts = {event.key: event.count for event in profiler.key_averages()}
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        found = {
            "losses": [round(loss, 5) for loss in losses],
            "layers": len(layers),
            "converted": len(converted),
            "class": sorted({type(m).__module__ for m in converted}),
            "float8_products": counts.get("float8::scaled_mm", 0),
        }
        print("RESULT", json.dumps(found), flush=True)
    accelerator.end_training()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 30)
