"""`float8 plan`: the report without weights."""

from __future__ import annotations

import resource

import pytest

LLAMA_8B = (
    "{model_type: llama, vocab_size: 128256, hidden_size: 4096, intermediate_size: 14336,"
    " num_hidden_layers: 32, num_attention_heads: 32, num_key_value_heads: 8}"
)


def test_a_plan_lists_every_layer_and_why(cli, config, tmp_path):
    result = cli("plan", config, "--model.config.intermediate_size", 40)
    assert result.status == 0, result.err
    for name in ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"):
        assert name in result.out
    assert "filter_fqns" in result.out
    assert "4 of 8 linear layers converted" in result.out
    assert not (tmp_path / "run").exists()


def test_8b_parameters_need_no_memory(cli, config):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = cli("plan", config, "--model.config", LLAMA_8B)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert result.status == 0, result.err
    assert "8,030,261,248 parameters" in result.out
    assert "224 of 225 linear layers converted" in result.out
    assert grown < 1_000_000  # KiB; the weights alone would be 16 GB


def test_no_layer_left_to_convert_is_an_error(cli, config):
    result = cli("plan", config, "--fp8.filter_fqns", "[proj, lm_head]")
    assert result.status == 2
    assert "error" in result.err


@pytest.mark.parametrize(
    ("keys", "verb"),
    [
        (["enable_fsdp_float8_all_gather"], "has"),
        (["enable_fsdp_float8_all_gather", "precompute_float8_dynamic_scale_for_fsdp"], "have"),
    ],
)
def test_keys_without_effect_in_one_process_get_a_line(cli, config, keys, verb):
    words = [word for key in keys for word in (f"--fp8.{key}", "true")]
    result = cli("plan", config, *words)
    assert result.status == 0, result.err
    lines = [line for line in result.out.splitlines() if "no effect in one process" in line]
    assert len(lines) == 1
    assert f"{keys[-1]} {verb} no effect" in lines[0]
    assert all(key in lines[0] for key in keys)


def test_a_plan_of_fp8_disabled_says_so(cli, config):
    result = cli("plan", config, "--fp8.enabled", "false")
    assert result.status == 0
    assert "fp8.enabled is false" in result.out


def figures(out, name):
    """The numbers of a table's row."""
    (line,) = [line for line in out.splitlines() if line.strip().startswith(name)]
    return [float(word) for word in line.strip().removeprefix(name).split()]


def test_many_gpus_are_planned_without_one(cli, config):
    """8 billion parameters on 8 and on 512 ranks: what each holds and sends."""
    base = ["plan", config, "--model.config", LLAMA_8B, "--model.config.max_position_embeddings"]
    base += [8192, "--packed_sequence.packed_sequence_size", 1024, "--fp8.emulate", "false"]
    base += ["--fp8.enable_fsdp_float8_all_gather", "true", "--dist_env.backend", "nccl"]
    sums = {}
    for nodes in (1, 64):
        batch = ["--step_scheduler.local_batch_size", 1]
        batch += ["--step_scheduler.global_batch_size", 8 * nodes]
        result = cli(*base, *batch, "--nproc-per-node", 8, "--nnodes", nodes)
        assert result.status == 0, result.err
        assert "no effect" not in result.out
        bf16, fp8 = figures(result.out, "weights")
        assert bf16 == fp8 == pytest.approx(8030261248 * 2 / 2**30 / (8 * nodes), abs=0.01)
        bf16, fp8 = figures(result.out, "a block's all-gather, MiB")
        assert bf16 / fp8 == pytest.approx(2, rel=1e-3)
        sums[nodes] = figures(result.out, "sum")
        assert all(value > 0 for value in sums[nodes])
        assert "q_proj [4096, 4096]" in result.out
    assert sums[64] < sums[1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--nproc-per-node", 3], "step_scheduler.global_batch_size"),
        (["--nproc-per-node", 0], "--nproc-per-node takes a number"),
        (["--nnodes", "two"], "--nnodes takes a number from 1, got 'two'"),
        (["--distributed.dp_replicate_size", 3], "distributed.dp_replicate_size"),
    ],
)
def test_numbers_of_processes_that_cannot_be(cli, config, words, expected):
    result = cli("plan", config, *words)
    assert result.status == 2
    assert expected in result.err


def test_training_is_not_started_on_several_nodes(cli, config):
    result = cli("train", config, "--nnodes", 2)
    assert result.status == 2
    assert "torchrun or Slurm" in result.err
