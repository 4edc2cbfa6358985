"""Runs NeMo AutoModel's own fine-tuning recipe on a CPU: automodel.py CONFIG.yaml [--key=value].

It knows torchao only: whose modules stand behind that name is for the command that starts it.
Prints one line of JSON at its end: the losses, how many layers of the trained model were converted
to whose class, and how often float8's product ran (AutoModel goes on in BF16 where a conversion
fails).
"""

import json
import logging
import sys

import torch
from nemo_automodel._transformers import auto_model, infrastructure, model_init
from nemo_automodel.components.config._arg_parser import parse_args_and_load_config
from nemo_automodel.recipes.llm.train_ft import TrainFinetuneRecipeForNextTokenPrediction
from torch.profiler import ProfilerActivity, profile
from torchao.float8.float8_linear import Float8Linear

CPU = torch.device("cpu")


class TorchOnCpu:
    """torch, but each device is the CPU: AutoModel names CUDA devices outright."""

    device = staticmethod(lambda *_: CPU)

    def __getattr__(self, name):
        return getattr(torch, name)


def without_cuda() -> None:
    """Lets the recipe run where there is no GPU. Nothing of FP8 or torchao is touched."""
    for module in (auto_model, infrastructure, model_init):
        module.torch = TorchOnCpu()
    torch.cuda.current_device = lambda: CPU
    torch.cuda.reset_peak_memory_stats = lambda *_: None
    barrier = torch.distributed.barrier
    torch.distributed.barrier = lambda group=None, **_: barrier(group)  # gloo takes no device_ids


def main() -> None:
    without_cuda()
    recipe = TrainFinetuneRecipeForNextTokenPrediction(parse_args_and_load_config(sys.argv[1]))
    recipe.setup()
    losses = []
    log_step = recipe.log_train_metrics

    def remember(metrics):
        losses.append(round(float(metrics.metrics["loss"]), 5))
        log_step(metrics)

    recipe.log_train_metrics = remember
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiler:
        recipe.run_train_validation_loop()
    counts = {event.key: event.count for event in profiler.key_averages()}
    layers = [m for m in recipe.model_parts[0].modules() if isinstance(m, torch.nn.Linear)]
    converted = [m for m in layers if isinstance(m, Float8Linear)]
    found = {
        "losses": losses,
        "layers": len(layers),
        "converted": len(converted),
        "class": sorted({type(m).__module__.split(".")[0] for m in converted}),
        "weights": sorted({type(m.weight).__name__ for m in converted}),
        "float8_products": counts.get("float8::scaled_mm", 0),
    }
    if torch.distributed.get_rank() == 0:
        print("RESULT", json.dumps(found), flush=True)
    logging.shutdown()


if __name__ == "__main__":
    main()
