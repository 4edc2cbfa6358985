"""What one of 8, 64 or 512 GPUs would hold and send: Llama 3.1 8B, sharded as in `float8 train`.

A count, not a timing. The ranks are simulated: this process is the first of them, the model has
shapes and no memory (it is sharded on meta, its tensors are fake), and torch's "fake" process group
takes what is sent.
"""

from __future__ import annotations

import argparse
import gc
import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.distributed as dist
from harness import Results
from source import ROOT
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.device_mesh import init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore
from wire import Wire

import float8
from float8.train import estimate
from float8.train.config.settings import Settings, load_settings
from float8.train.estimate import Layout
from float8.train.model import meta_model, read_model_config
from float8.train.processes.shard import shard_model

RECIPE = ROOT / "configs" / "llama3_1_8b_hellaswag_fp8.yaml"
#: meta-llama/Llama-3.1-8B's shapes.
LLAMA_8B = {
    "model_type": "llama",
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
}
LAYOUTS = (Layout(8), Layout(8, 8), Layout(8, 8, replicas=8), Layout(8, 64))
LAYOUTS += (Layout(8, 64, replicas=8), Layout(8, 64, replicas=64))


@dataclass(frozen=True)
class Simulated:
    """Bytes of one rank: of its shards, and of what it sends in a step of one microbatch."""

    weights: int
    all_gather: int
    reduce_scatter: int
    all_reduce: int
    #: How many messages; those of the scales are not in `all_reduce`.
    calls: dict[str, int]


def simulate(settings: Settings, layout: Layout, fp8: bool, tokens: int = 16) -> Simulated:
    """Takes a step as rank 0: forward, backward, the scales of all weights."""
    dist.init_process_group("fake", rank=0, world_size=layout.world, store=FakeStore())
    try:
        names = ("dp_replicate", "dp_shard")
        shape = (layout.replicas, layout.shards)
        if layout.replicas == 1:
            names, shape = names[1:], shape[1:]
        mesh = init_device_mesh("cpu", shape, mesh_dim_names=names)
        model = meta_model(settings, read_model_config(settings))
        model.to(getattr(torch, settings.model.torch_dtype))
        if fp8:
            float8.plan_conversion(model, config=settings.fp8).apply()
        shard_model(model, settings, mesh)
        with FakeTensorMode(allow_non_fake_inputs=True):
            model.to_empty(device="cpu")
            x = torch.zeros(1, tokens, dtype=torch.long)
            float8.precompute_float8_dynamic_scale_for_fsdp(model)
            with Wire() as wire:
                model(input_ids=x, use_cache=False).logits.float().sum().backward()
                float8.precompute_float8_dynamic_scale_for_fsdp(model)
            weights = sum(p.to_local().nbytes for p in model.parameters())
        return Simulated(weights=weights, **sent(wire, layout), calls=dict(wire.calls))
    finally:
        dist.destroy_process_group()
        gc.collect()


def predicted(settings: Settings, layout: Layout, fp8: bool) -> dict[str, int]:
    """What `float8 plan` says of the same step: weights and messages."""
    model = meta_model(settings, read_model_config(settings))
    if fp8:
        config = replace(
            settings.fp8,
            enable_fsdp_float8_all_gather=False,
            precompute_float8_dynamic_scale_for_fsdp=False,
        )
        float8.plan_conversion(model, config=config).apply()
    units = estimate.units_of(settings, model, fp8_all_gather=fp8)
    weights = sum(unit.held(layout.shards) for unit in units)
    return {"weights": weights, **vars(estimate.traffic_of(settings, units, layout))}


def sent(wire: Wire, layout: Layout) -> dict[str, int]:
    """Bytes by rings: a share (n - 1) / n of a message, twice for an all-reduce."""
    n, replicas = layout.shards, layout.replicas
    totals: Counter[str] = Counter(wire.bytes)
    return {
        "all_gather": totals["all_gather"] * (n - 1) // n,
        "reduce_scatter": totals["reduce_scatter"] * (n - 1) // n,
        "all_reduce": 2 * (totals["all_reduce"] - wire.scales) * (replicas - 1) // replicas,
    }


def settings_of(config: dict[str, Any], layout: Layout) -> Settings:
    """The recipe's, for a model of these sizes and one microbatch."""
    keys = {
        "model._target_": "transformers.AutoModelForCausalLM.from_config",
        "model.pretrained_model_name_or_path": "null",
        "model.config": json.dumps(config),
        "step_scheduler.global_batch_size": str(layout.world),
        "fp8.emulate": "true",
    }
    return load_settings(str(RECIPE), list(keys.items()))


def main() -> None:
    """Counts for each layout, and holds `float8 plan` to it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=LLAMA_8B["num_hidden_layers"])
    config = {**LLAMA_8B, "num_hidden_layers": parser.parse_args().layers}
    results = Results("many_hosts")
    for layout in LAYOUTS:
        settings = settings_of(config, layout)
        for run, fp8 in (("bf16", False), ("fp8", True)):
            found = vars(simulate(settings, layout, fp8))
            plan = predicted(settings, layout, fp8)
            if {name: found[name] for name in plan} != plan:
                raise SystemExit(f"float8 plan says {plan}, but the step was {found}")
            gb = {name: f"{found[name] / 1e9:.3f}" for name in plan}
            results.add(
                f"many_hosts {run:4} | {layout.replicas:2} x {layout.shards:3} ranks | "
                f"{gb['weights']:>6} GB of weights | sends {gb['all_gather']:>6} GB in "
                f"all-gathers, {gb['reduce_scatter']:>6} in reduce-scatters, "
                f"{gb['all_reduce']:>6} in all-reduces",
                {"run": run, "ranks": layout.world, "replicas": layout.replicas, **config},
                bytes={name: found[name] for name in plan},
                calls=found["calls"],
                goals={},
            )


if __name__ == "__main__":
    main()
