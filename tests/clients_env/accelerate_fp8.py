"""Trains a tiny Llama by accelerate's mixed_precision="fp8", once for each seed.

    accelerate_fp8.py bf16|fp8 SEED[,SEED...] [STEPS]

A seed draws weights and rows. It knows torchao only. Prints a line of JSON for each seed: the
losses, how many layers were converted to whose class, and how often float8's product ran on each
rank in the first step and in the last. Run it alone, under `python -m float8.as_torchao`, and in
several processes by torchrun (`accelerate launch --cpu` starts one only).
"""

import sys

import torch
from accelerate import Accelerator
from accelerate.utils import AORecipeKwargs, gather_object
from products import Products, print_result
from tiny_llama import tiny_llama
from torchao.float8 import Float8LinearConfig
from torchao.float8.float8_linear import Float8Linear

ROWS, TOKENS, VOCABULARY = 4, 16, 64


def rows_of(seed: int, count: int) -> list[dict]:
    """Rows that count upwards by one, two or three, each from a start of its own."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randint(1, 4, (count, 1), generator=generator)
    starts = torch.randint(VOCABULARY, (count, 1), generator=generator)
    rows = (starts + steps * torch.arange(TOKENS)) % VOCABULARY
    return [{"input_ids": row, "labels": row} for row in rows]


def train(accelerator: Accelerator, seed: int, steps: int) -> dict:
    """One run; what it did."""
    model = tiny_llama(seed, VOCABULARY)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    loader = torch.utils.data.DataLoader(
        rows_of(seed, ROWS * steps), batch_size=ROWS // accelerator.num_processes
    )
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    converted = [m for m in layers if isinstance(m, Float8Linear)]
    losses = []
    products = Products(steps)
    for batch in loader:
        loss = model(**batch).loss
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(accelerator.reduce(loss.detach().float(), "mean").item())
        products.step()
    return {
        "seed": seed,
        "losses": [round(loss, 5) for loss in losses],
        "layers": len(layers),
        "converted": len(converted),
        "class": sorted({type(m).__module__ for m in converted}),
        "float8_products": gather_object([products.counts]),
    }


def main(precision: str, seeds: str, steps: int) -> None:
    """Prints a line for each seed."""
    recipe = AORecipeKwargs(config=Float8LinearConfig(emulate=True))
    handlers = [recipe] if precision == "fp8" else []
    accelerator = Accelerator(cpu=True, mixed_precision=precision, kwargs_handlers=handlers)
    for seed in map(int, seeds.split(",")):
        found = train(accelerator, seed, steps)
        if accelerator.is_main_process:
            print_result(found)
        accelerator.free_memory()
    accelerator.end_training()


if __name__ == "__main__":
    main(*sys.argv[1:3], int(sys.argv[3]) if len(sys.argv) > 3 else 30)
