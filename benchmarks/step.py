"""A training step of Llama 3 8B's shapes on the CPU, in emulation: tokens/s and peak memory.

One block and a vocabulary of 256: a whole model does not fit. Emulation has no products to be fast
with, so its speed says nothing about a GPU's (gpu/step.py measures that); the memory does: what a
step keeps is the same. Times alternate in one process; a peak is that of a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gpu.llama import SHAPE, keep_head
from harness import Results, alternate

RECIPES = ("tensorwise", "rowwise", "rowwise_with_gw_hp")
TOKENS = 512
GOAL = 1.0  # of BF16's peak


def make(kind: str) -> Callable[[], None]:
    """A step of AdamW: "bf16", or a recipe with the weights' FP8 copies made again in backward."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    import float8

    torch.manual_seed(0)
    shape = SHAPE | {"num_hidden_layers": 1, "vocab_size": 256}
    config = LlamaConfig(use_cache=False, tie_word_embeddings=False, **shape)
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    if kind != "bf16":
        recipe = float8.Float8LinearConfig.from_recipe_name(kind)
        object.__setattr__(recipe, "emulate", True)
        object.__setattr__(recipe, "force_recompute_fp8_weight_in_bwd", True)
        float8.convert_to_float8_training(model, config=recipe, module_filter_fn=keep_head)
    ids = torch.randint(256, (1, TOKENS))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> None:
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def resident(what: str) -> int:
    """Bytes of this process: "VmRSS" now, "VmHWM" at most since `forget_peak`."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if what in x)
    return int(line.split()[1]) * 1024


def print_peak(kind: str) -> None:
    """Bytes that a step needs at most, model and optimizer included, as JSON."""
    empty = resident("VmRSS")
    step = make(kind)
    step()  # makes the optimizer's state
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    step()
    print(json.dumps(resident("VmHWM") - empty))


def peak(kind: str) -> int:
    """The same, measured in a process of its own."""
    words = [sys.executable, __file__, "--peak-of", kind]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return int(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Every recipe beside BF16."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--peak-of", choices=("bf16", *RECIPES), help="print that peak alone")
    arguments = parser.parse_args()
    if arguments.peak_of:
        print_peak(arguments.peak_of)
        return
    results = Results("step")
    most = peak("bf16")
    for recipe in RECIPES:
        own = peak(recipe)
        times = alternate({"bf16": make("bf16"), "fp8": make(recipe)}, arguments.rounds)
        speed = times.ratio("bf16", "fp8")
        results.add(
            f"8B-shaped block, {recipe:18} | {TOKENS / times['fp8'].median:6.1f} tokens/s, "
            f"{speed.median:4.2f}x bf16 | peak {own / 2**30:5.2f} GiB, {own / most:4.2f} of bf16's",
            {"recipe": recipe, "tokens": TOKENS, "layers": 1},
            seconds=times.as_dict(),
            bf16_over_fp8=speed.as_dict(),
            peak_bytes={"bf16": most, "fp8": own},
            peak_of_bf16=own / most,
            goals={"peak_of_bf16": GOAL},
        )


if __name__ == "__main__":
    main()
