"""Runs NeMo AutoModel's own fine-tuning recipe on a CPU, once for each seed.

    automodel.py CONFIG.yaml MODELS SEED[,SEED...] [--key=value ...]

A seed is one of MODELS' folders, and draws the data. The program knows torchao only: whose modules
stand behind that name is for the command that starts it. Prints a line of JSON for each seed: the
losses, how many layers of the trained model were converted to whose class, and how often float8's
product ran on each rank in the first step and in the last (AutoModel goes on in BF16 where a
conversion fails).
"""

import dataclasses
import logging
import sys

import torch
from nemo_automodel._transformers import auto_model, infrastructure, model_init
from nemo_automodel.components.config._arg_parser import parse_args_and_load_config
from nemo_automodel.components.quantization import fp8
from nemo_automodel.recipes.llm import train_ft
from products import Products, print_result
from torchao.float8.float8_linear import Float8Linear

CPU = torch.device("cpu")
Config = fp8.Float8LinearConfig


class TorchOnCpu:
    """torch, but each device is the CPU: AutoModel names CUDA devices outright."""

    device = staticmethod(lambda *_: CPU)

    def __getattr__(self, name):
        return getattr(torch, name)


class EmulatedConfig:
    """The configuration, emulated with every recipe: AutoModel's key counts for tensorwise only."""

    def __new__(cls, **fields):
        return Config(**fields)

    @staticmethod
    def from_recipe_name(name):
        return dataclasses.replace(Config.from_recipe_name(name), emulate=True)


def without_cuda() -> None:
    """Lets the recipe run where there is no GPU."""
    for module in (auto_model, infrastructure, model_init):
        module.torch = TorchOnCpu()
    fp8.Float8LinearConfig = EmulatedConfig
    torch.cuda.current_device = lambda: CPU
    torch.cuda.reset_peak_memory_stats = lambda *_: None
    barrier = torch.distributed.barrier
    torch.distributed.barrier = lambda group=None, **_: barrier(group)  # gloo takes no device_ids


def counting(function, calls: list) -> object:
    """The function; each call adds to the list."""

    def counted(*arguments):
        calls.append(1)
        return function(*arguments)

    return counted


def train(config) -> dict:
    """One run; what it did, on this rank."""
    recipe = train_ft.TrainFinetuneRecipeForNextTokenPrediction(config)
    recipe.setup()
    losses, precomputed = [], []
    log_step, precompute = (
        recipe.log_train_metrics,
        train_ft.precompute_float8_dynamic_scale_for_fsdp,
    )

    def remember(metrics):
        losses.append(round(float(metrics.metrics["loss"]), 5))
        log_step(metrics)
        products.step()

    recipe.log_train_metrics = remember
    products = Products(config.get("step_scheduler.max_steps"))
    train_ft.precompute_float8_dynamic_scale_for_fsdp = counting(precompute, precomputed)
    recipe.run_train_validation_loop()
    train_ft.precompute_float8_dynamic_scale_for_fsdp = precompute
    layers = [m for m in recipe.model_parts[0].modules() if isinstance(m, torch.nn.Linear)]
    converted = [m for m in layers if isinstance(m, Float8Linear)]
    return {
        "losses": losses,
        "layers": len(layers),
        "converted": len(converted),
        "class": sorted({type(m).__module__ for m in converted}),
        "float8_products": products.counts,
        "precomputed": len(precomputed),
    }


def main() -> None:
    """Prints a line for each seed."""
    without_cuda()
    path, models, seeds = sys.argv[1:4]
    for seed in seeds.split(","):
        config = parse_args_and_load_config(path)
        config.set_by_dotted("model.pretrained_model_name_or_path", f"{models}/{seed}")
        config.set_by_dotted("dataset.seed", int(seed))
        found = train(config)
        ranks = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(ranks, found["float8_products"])
        if torch.distributed.get_rank() == 0:
            print_result({"seed": int(seed), **found, "float8_products": ranks})
    logging.shutdown()


if __name__ == "__main__":
    main()
