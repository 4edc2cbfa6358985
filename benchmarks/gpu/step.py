"""(d) A training step of a 4-layer, 8B-shaped Llama on 8,192 tokens: tokens/s and memory.

BF16, torchao and ours, compiled, in turn in one process. Peak memory is that of one candidate's
step, without what the others keep. What a block saves for backward is what stays allocated after
its forward pass, with the weights' FP8 copies made again in backward.
"""

from __future__ import annotations

import math
import sys
from functools import partial
from typing import Any

import torch
from harness import Timings

from gpu.candidates import ours, torchao_missing, torchaos
from gpu.cases import Cases, Figures, WrongResultError, parser
from gpu.goals import judge
from gpu.llama import Model, keep_head
from gpu.machine import GIB

RECIPES = ("tensorwise", "rowwise")
MEASURED_SECONDS = 4.0
FIRST_STEPS = 3
BYTES_OF_A_MODEL = 12e9  # 1.9 billion weights in BF16, and AdamW's two moments
BYTES_OF_A_STEP = 30e9  # gradients, activations, and the logits in float32 too
LARGEST_LOSS_DIFFERENCE = 0.05  # of the first step, whose weights are the same


def make(cases: Cases, who: str, recipe: str = "", **fields: Any) -> Model:
    """A candidate."""
    convert: Any = None
    if who != "bf16":
        how = {"ours": ours, "torchao": torchaos}[who]
        convert = partial(how, recipe=recipe, emulate=cases.smoke, keep=keep_head, **fields)
    backend = "aot_eager" if cases.smoke else "inductor"
    return Model(cases.device.name, cases.smoke, convert, backend)


def allocated(cases: Cases) -> int:
    """Bytes of tensors on the GPU."""
    return 0 if cases.smoke else torch.cuda.memory_allocated()


def peak_of_a_step(cases: Cases, model: Model) -> int:
    """Bytes above what was allocated before it."""
    if cases.smoke:
        model.step()
        return 1
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    model.step()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def saved_by_a_block(cases: Cases, model: Model) -> int:
    """Bytes that stay allocated between a block's forward and backward pass, without its output."""

    def once() -> int:
        before = allocated(cases)
        kept = model.block_forward()
        cases.device.synchronize()
        values = sum(t.numel() * t.element_size() for t in kept)
        saved = allocated(cases) - before - values
        kept[1].sum().backward()
        model.model.zero_grad(set_to_none=True)
        return saved

    once()  # compiles
    return max(once(), 1)


def check(models: dict[str, Model]) -> None:
    """Every loss is finite, and the first one near BF16's."""
    expected = float(models["bf16"].losses[0])
    for who, model in models.items():
        first, last = float(model.losses[0]), float(model.losses[-1])
        if not abs(first - expected) <= LARGEST_LOSS_DIFFERENCE or not math.isfinite(last):
            raise WrongResultError(f"{who}: loss {first:.3f} to {last:.3f}, BF16's {expected:.3f}")


def shared_turns(cases: Cases, recipe: str, who: list[str]) -> tuple[Timings, dict[str, int], int]:
    """Times, peak bytes and tokens of candidates that are in memory together."""
    models: dict[str, Model] = {}
    static: dict[str, int] = {}
    for name in who:
        before = allocated(cases)
        models[name] = make(cases, name, recipe)
        for _ in range(FIRST_STEPS):
            models[name].step()
        cases.device.synchronize()
        static[name] = allocated(cases) - before
    check(models)
    peak = {name: static[name] + peak_of_a_step(cases, model) for name, model in models.items()}
    times = cases.device.alternate(
        {name: model.step for name, model in models.items()}, MEASURED_SECONDS, flush=False
    )
    check(models)
    return times, peak, models["ours"].tokens


def candidates(cases: Cases) -> tuple[list[str], str]:
    """Who takes part, and why torchao does not."""
    missing = torchao_missing()
    if not missing and not cases.smoke:
        needed = 3 * BYTES_OF_A_MODEL + BYTES_OF_A_STEP
        if cases.device.free_bytes() < needed:
            missing = f"torchao: three models need about {needed / GIB:.0f} GiB"
    return ["bf16", "ours", *([] if missing else ["torchao"])], missing


def measure_step(cases: Cases, recipe: str) -> tuple[str, Figures]:
    """One recipe's step."""
    torch._dynamo.reset()
    who, missing = candidates(cases)
    times, peak, tokens = shared_turns(cases, recipe, who)
    over_bf16 = times.ratio("bf16", "ours")
    share = peak["ours"] / peak["bf16"]
    figures: Figures = {
        "seconds": times.as_dict(),
        "tokens": tokens,
        "peak_bytes": peak,
        "bf16_over_ours": over_bf16.as_dict(),
        "goals": [
            judge("step.speed", over_bf16.median, cases.device_name),
            judge("step.memory", share, cases.device_name),
        ],
    }
    if missing:
        figures["missing"] = missing
    else:
        figures["torchao_over_ours"] = times.ratio("torchao", "ours").as_dict()
    seconds = times["ours"].median
    line = (
        f"step {recipe:10} | {seconds * 1e3:6.1f} ms | {tokens / seconds:7.0f} tokens/s | "
        f"{over_bf16.median:4.2f}x bf16 | {share:4.2f} of its peak memory"
    )
    return line, figures


def measure_saved(cases: Cases, recipe: str) -> tuple[str, Figures]:
    """What a block saves, ours beside BF16's and torchao's."""
    torch._dynamo.reset()
    saved = {}
    who, missing = candidates(cases)
    for name in who:
        # In torchao the switch has no effect.
        fields = {"force_recompute_fp8_weight_in_bwd": True} if name == "ours" else {}
        saved[name] = saved_by_a_block(cases, make(cases, name, recipe, **fields))
    share = saved["ours"] / saved["bf16"]
    figures: Figures = {
        "saved_bytes": saved,
        "goals": [judge("step.saved", share, cases.device_name)],
    }
    if missing:
        figures["missing"] = missing
    return f"saved {recipe:10} | {saved['ours'] / 2**20:7.0f} MiB | {share:4.2f} of bf16's", figures


def main() -> int:
    """The steps, then what a block saves."""
    arguments = parser(__doc__).parse_args()
    cases = Cases("gpu_step", arguments)
    needed = 2 * BYTES_OF_A_MODEL + BYTES_OF_A_STEP
    for what, measure, seconds in (("step", measure_step, 45.0), ("saved", measure_saved, 15.0)):
        for recipe in RECIPES[:1] if arguments.smoke else RECIPES:
            cases.run(
                {"what": what, "recipe": recipe},
                partial(measure, cases, recipe),
                kind=what,
                seconds=seconds,
                needs_bytes=0 if arguments.smoke else needed,
            )
    return cases.exit_status()


if __name__ == "__main__":
    sys.exit(main())
