"""What `float8.inspect` adds to the training step inside it, on the CPU, on one thread.

A Llama of the quickstart's size, and the MLP of a wider model. Goal: with a report every
tenth step (logging.health_every: 10) less than 2% of the training; the step alone is shown too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from harness import MALLOC, Results, alternate, keep_freed_memory
from torch import nn

import float8

EVERY = 10
GOAL = 0.02


def quickstart() -> tuple[nn.Module, Callable[[nn.Module], torch.Tensor]]:
    """The model of configs/quickstart.yaml and one of its batches: 4 rows of 256 tokens."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=272,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
    )
    tokens = torch.randint(0, 272, (4, 256))
    return LlamaForCausalLM(config), lambda model: model(input_ids=tokens, use_cache=False).logits


def wide() -> tuple[nn.Module, Callable[[nn.Module], torch.Tensor]]:
    """An MLP of width 1024 on 1024 tokens."""
    model = nn.Sequential(
        nn.Linear(1024, 4096, bias=False), nn.GELU(), nn.Linear(4096, 1024, bias=False)
    )
    x = torch.randn(1024, 1024, dtype=torch.bfloat16, requires_grad=True)
    return model, lambda model: model(x)


def step_of(model: nn.Module, forward: Callable[[nn.Module], torch.Tensor]) -> Callable[[], None]:
    """A training step, inside of the context that it is given."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)

    def step(inspected: bool = False) -> None:
        with float8.inspect(model) if inspected else nullcontext():
            forward(model).float().square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def main() -> None:
    """Runs both models with two recipes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    results = Results("inspection")
    for make in (quickstart, wide):
        for recipe in ("tensorwise", "rowwise"):
            torch.manual_seed(0)
            model, forward = make()
            config = float8.Float8LinearConfig.from_recipe_name(recipe)
            object.__setattr__(config, "emulate", True)
            float8.convert_to_float8_training(
                model.bfloat16(), config=config, module_filter_fn=lambda _, name: name != "lm_head"
            )
            step = step_of(model, forward)
            times = alternate(
                {"plain": step, "inspected": lambda step=step: step(inspected=True)},
                arguments.rounds,
                warmup=3,
                clock=time.thread_time,
            )
            ratio = times.ratio("inspected", "plain")
            results.add(
                f"{make.__name__:10} {recipe:10} | {times['plain'].median * 1e3:6.1f} ms | "
                f"inspected {ratio.median:5.3f} of it",
                {"model": make.__name__, "recipe": recipe, "every": EVERY, "malloc": MALLOC},
                seconds=times.as_dict(),
                of_plain=ratio.as_dict(),
                of_training=(ratio.median - 1) / EVERY,
                goals={"of_training": GOAL},
            )


if __name__ == "__main__":
    main()
