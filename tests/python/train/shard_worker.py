"""What test_shard.py looks at in each of two processes."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import distributed

import float8
from float8.train.checkpoint.state import model_state, unwrapped
from float8.train.config.settings import Settings, load_settings
from float8.train.console import View
from float8.train.data.loader import load_rows, make_loader
from float8.train.interrupt import StopRequest
from float8.train.job import Job
from float8.train.loop import Run
from float8.train.model import build_model, read_model_config
from float8.train.processes import weights
from float8.train.processes.ranks import Ranks, process_group
from float8.train.processes.shard import make_mesh, shard_model
from float8.train.step import Computation

CPU = torch.device("cpu")
# What FSDP2 calls, from torch 2.11 on and from 2.15 on.
ALL_GATHERS = ("all_gather_into_tensor", "all_gather_single")
REDUCE_SCATTERS = ("reduce_scatter_tensor", "reduce_scatter_single")


def sharded(settings: Settings, ranks: Ranks) -> Any:
    """The model as `float8 train` makes it in several processes."""
    config = read_model_config(settings)
    model = weights.skeleton(settings, config)
    assert all(parameter.is_meta for parameter in model.parameters())
    if settings.fp8.enabled:
        model = float8.plan_conversion(model, config=settings.fp8).apply()
    shard_model(model, settings, make_mesh(settings, ranks, CPU))
    weights.fill(model, settings, config, ranks, CPU)
    return model


def check_weights(settings: Settings, ranks: Ranks) -> None:
    """Bit for bit those of one process, and of each only a part."""
    whole = build_model(settings, read_model_config(settings), CPU)
    model = sharded(settings, ranks)
    found = model_state(model)
    expected = whole.state_dict()
    shared = settings.model.config.get("tie_word_embeddings", False)
    assert set(expected) - set(found) == ({"lm_head.weight"} if shared else set())
    for name, tensor in found.items():
        assert torch.equal(tensor.full_tensor(), expected[name]), name
        assert unwrapped(tensor).numel() * 2 == expected[name].numel(), name
    for name, buffer in whole.named_buffers():
        assert torch.equal(dict(model.named_buffers())[name], buffer), name


def check_slices(settings: Settings, ranks: Ranks) -> None:
    """From safetensors files no rank makes the whole model."""
    expected = build_model(settings, read_model_config(settings), CPU).state_dict()

    def whole(*_: Any) -> Any:
        raise AssertionError("a rank made the whole model")

    weights.build_model = whole  # type: ignore[assignment]
    for name, tensor in model_state(sharded(settings, ranks)).items():
        assert torch.equal(tensor.full_tensor(), expected[name]), name


def check_accumulation(settings: Settings, ranks: Ranks) -> None:
    """Gradients are summed over the ranks in each microbatch, or once where that is asked for."""
    model = sharded(settings, ranks)
    rows = load_rows(settings, "dataset")
    batch = list(islice(make_loader(settings, rows, ranks, 0), 3))
    counts, norms = [], []
    for deferred, part in ((False, batch[:1]), (False, batch), (True, batch)):
        layout = dataclasses.replace(settings.distributed, defer_fsdp_grad_sync=deferred)
        chosen = dataclasses.replace(settings, distributed=layout)
        job = Job(chosen, CPU, rows, None, View(quiet=True), StopRequest(), ranks)
        computation = Computation(job, model)
        with counted(*REDUCE_SCATTERS) as sums, counted(*ALL_GATHERS) as gathers:
            norms.append(computation.gradients(part, inspected=False).norm)
        model.zero_grad(set_to_none=True)
        counts.append((len(sums), len(gathers)))
    assert [sums for sums, _ in counts] == [2, 3 * 2, 2], counts  # the block, and the root
    assert min(gathers for _, gathers in counts[1:]) >= 3 * 2, counts
    # The norms are BF16 numbers, of gradients that were rounded at other places: one step apart.
    assert abs(norms[2] / norms[1] - 1) <= 2**-7, norms


@contextlib.contextmanager
def counted(*names: str) -> Iterator[list[str]]:
    """Counts the calls of those functions of torch.distributed that this torch has."""
    calls: list[str] = []
    originals = {name: getattr(distributed, name) for name in names if hasattr(distributed, name)}

    def counting(name: str) -> Any:
        def call(*arguments: Any, **keys: Any) -> Any:
            calls.append(name)
            return originals[name](*arguments, **keys)

        return call

    for name in originals:
        setattr(distributed, name, counting(name))
    try:
        yield calls
    finally:
        for name, original in originals.items():
            setattr(distributed, name, original)


def check_precompute(settings: Settings, ranks: Ranks) -> None:
    """`precompute_float8_dynamic_scale_for_fsdp`: after a step all scales are known."""
    sums = {}
    for precompute in (False, True):
        fp8 = dataclasses.replace(settings.fp8, precompute_float8_dynamic_scale_for_fsdp=precompute)
        chosen = dataclasses.replace(settings, fp8=fp8)
        rows = load_rows(chosen, "dataset")
        job = Job(chosen, CPU, rows, None, View(quiet=True), StopRequest(), ranks)
        run = Run(job, "fp8", sharded(chosen, ranks), resume=False)
        batches = iter(run.loader)
        run._take_step(batches)
        with counted("all_reduce") as calls:
            run._take_step(batches)
        sums[precompute] = len(calls)
    # One for all seven weights instead of one for each (in the forward pass, and in the backward).
    assert sums[True] <= sums[False] - 6, sums


def check_random(settings: Settings, ranks: Ranks, ranked: bool) -> None:
    """`rng.ranked`: whether what is drawn while training differs from rank to rank."""
    from float8.train.command import seed_draws

    seed_draws(settings, ranks)
    drawn = ranks.gather(torch.rand(4).tolist())
    assert (drawn[0] != drawn[1]) == ranked


def work(rank: int, folder: str) -> None:
    """One of the two processes."""
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": Path(folder, "port").read_text(),
    }
    torch.set_num_threads(1)
    config = str(Path(folder, "tiny.yaml"))
    pretrained = [
        ("model._target_", "transformers.AutoModelForCausalLM.from_pretrained"),
        ("model.pretrained_model_name_or_path", str(Path(folder, "model"))),
        ("model.config", "{}"),
    ]
    twelve = [("step_scheduler.global_batch_size", "12")]
    with process_group(load_settings(config)) as ranks:
        for more in (
            [],
            [("model.torch_dtype", "float32"), ("fp8.enabled", "false")],
            [("model.config.tie_word_embeddings", "true")],
            [("fp8.enable_fsdp_float8_all_gather", "true")],
        ):
            check_weights(load_settings(config, more), ranks)
        for ranked in (True, False):
            check_random(
                load_settings(config, [("rng.ranked", str(ranked).lower())]), ranks, ranked
            )
        check_accumulation(load_settings(config, twelve), ranks)
        check_precompute(
            load_settings(
                config, [*twelve, ("fp8.enable_fsdp_float8_all_gather", "true")]
            ), ranks
        )  # fmt: skip
        check_slices(load_settings(config, pretrained), ranks)
    assert not distributed.is_initialized()
