"""Each key of `compile:` does something that can be seen."""

from __future__ import annotations

import pytest
import torch
from run_files import losses
from torch._dynamo import register_backend
from torch._dynamo.testing import CompileCounter

WORDS = ("--bf16_baseline", "false", "--compile.enabled", "true", "--step_scheduler.max_steps", 2)
COUNTERS: list[CompileCounter] = []


@register_backend
def float8_test_counter(graph, inputs):
    """Counts what is compiled, and runs it as it is."""
    return COUNTERS[-1](graph, inputs)


@pytest.fixture
def counter():
    torch._dynamo.reset()
    COUNTERS.append(CompileCounter())
    return COUNTERS[-1]


def test_backend(cli, config, counter):
    assert cli("train", config, *WORDS, "--compile.backend", "float8_test_counter").status == 0
    assert counter.frame_count == 1


@pytest.mark.parametrize(("dynamic", "compiled"), [("false", 2), ("true", 1)])
def test_dynamic(cli, config, counter, monkeypatch, dynamic, compiled):
    """With rows of two lengths: a graph for each, or one for both."""
    from float8.train.step import Computation

    computed, calls = Computation.loss_sum, []

    def of_two_lengths(self, batch):
        calls.append(1)
        length = 28 if len(calls) % 2 else 24  # no other size in the model
        return computed(self, {name: tensor[:, :length] for name, tensor in batch.items()})

    monkeypatch.setattr(Computation, "loss_sum", of_two_lengths)
    result = cli("train", config, *WORDS, "--compile.backend", "float8_test_counter",
                 "--compile.dynamic", dynamic)  # fmt: skip
    assert result.status == 0, result.err
    assert counter.frame_count == compiled


@pytest.mark.parametrize("fullgraph", [False, True])
def test_fullgraph(cli, config, counter, monkeypatch, fullgraph):
    from transformers.models.llama.modeling_llama import LlamaMLP

    forward = LlamaMLP.forward

    def broken(self, x):
        torch._dynamo.graph_break()
        return forward(self, x)

    monkeypatch.setattr(LlamaMLP, "forward", broken)
    result = cli("train", config, *WORDS, "--compile.backend", "float8_test_counter",
                 "--compile.fullgraph", str(fullgraph).lower())  # fmt: skip
    if fullgraph:
        assert result.status == 1
        assert "torch.compile failed" in result.err
        assert result.err.count("\n") == 1
    else:
        assert result.status == 0, result.err
        assert counter.frame_count > 1


@pytest.mark.parametrize(
    ("mode", "option"),
    [
        ("default", None),
        ("reduce-overhead", "triton.cudagraphs"),
        ("max-autotune-no-cudagraphs", "max_autotune"),
    ],
)
def test_mode(cli, config, tmp_path, monkeypatch, mode, option):
    """The mode is a set of Inductor's options; Inductor itself would take half a minute here."""
    from torch._inductor import compile_fx

    torch._dynamo.reset()
    seen = []

    def spy(graph, inputs, config_patches=None, **_):
        seen.append(config_patches or {})
        return graph

    monkeypatch.setattr(compile_fx, "compile_fx", spy)
    result = cli("train", config, *WORDS, "--compile.mode", mode)
    assert result.status == 0, result.err
    assert len(losses(tmp_path / "run", "fp8")) == 2
    assert seen
    assert all((option in options) if option else not options for options in seen)
