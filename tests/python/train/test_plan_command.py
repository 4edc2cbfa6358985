"""`float8 plan`: the report without weights."""

from __future__ import annotations

import resource
from types import SimpleNamespace

import pytest

from float8.train import plan

LLAMA_8B = (
    "{model_type: llama, vocab_size: 128256, hidden_size: 4096, intermediate_size: 14336,"
    " num_hidden_layers: 32, num_attention_heads: 32, num_key_value_heads: 8}"
)

# A model whose configuration names no longest row.
ANY_LENGTH = "{model_type: bloom, vocab_size: 272, hidden_size: 32, n_layer: 1, n_head: 2}"


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


def test_the_cost_model_is_asked_for_k_n_and_all_tokens_of_a_batch(cli, config, monkeypatch):
    asked = []

    def speedup(_, k, n, tokens):
        asked.append((k, n, tokens))
        return 2.0

    monkeypatch.setattr(plan, "_C", SimpleNamespace(predicted_speedup=speedup))
    result = cli("plan", config)
    assert result.status == 0, result.err
    assert asked == [(32, 32, 64), (32, 48, 64), (48, 32, 64)]
    assert "predicted for 64 tokens" in result.out


def test_without_the_key_fp8_is_gathered_in_bf16(cli, config):
    words = ("--model.config.hidden_size", 256, "--nproc-per-node", 2)
    bf16, fp8 = figures(cli("plan", config, *words).out, "a block's all-gather, MiB")
    assert bf16 == fp8 > 0.5


def test_all_layers_speed_is_the_mean_by_their_work(cli, config):
    words = ["--model.config", LLAMA_8B, "--model.config.max_position_embeddings", 8192]
    words += ["--packed_sequence.packed_sequence_size", 8192, "--fp8.emulate", "false"]
    result = cli("plan", config, *words)
    assert result.status == 0, result.err
    assert "2 x 8192 tokens each" in result.out
    rows = [line.split() for line in result.out.splitlines() if "_proj [" in line]
    work = before = 0.0
    for _, n, k, count, speed in rows:
        flops = int(n.strip("[,")) * int(k.strip("]")) * int(count)
        work, before = work + flops, before + flops / float(speed)
    (all_of_them,) = [line.split() for line in result.out.splitlines() if "all of them" in line]
    assert all_of_them[3] == "224"
    assert float(all_of_them[4]) == pytest.approx(work / before, abs=0.01)
    assert 1.3 < float(all_of_them[4]) < 1.6
    assert "in eager mode" not in result.out  # nothing is compiled


def test_a_small_model_is_told_in_mib(cli, config):
    result = cli("plan", config, "--compile.enabled", "true")
    assert "MiB on the fullest rank" in result.out
    weights = 26208 * 2 / 2**20  # its parameters in BF16
    assert figures(result.out, "weights") == [round(weights, 2)] * 2
    assert "activations as in eager mode, a bound" in result.out


def test_unpacked_rows_are_at_most_what_the_data_or_the_model_allow(cli, config):
    plain = cli("plan", config)
    words = ("--packed_sequence.packed_sequence_size", 0)
    model = cli("plan", config, *words)
    assert "2 x at most 32 tokens each" in model.out
    assert figures(model.out, "activations") == figures(plain.out, "activations")
    data = cli("plan", config, *words, "--dataset.seq_length", 16)
    assert "2 x at most 16 tokens each" in data.out
    assert figures(data.out, "activations") < figures(plain.out, "activations")
    result = cli("plan", config, *words, "--dataset.seq_length", 33)
    assert result.status == 2
    assert "dataset.seq_length: expected at most the model's" in result.err
    result = cli("plan", config, *words, "--model.config", ANY_LENGTH)
    assert result.status == 2
    assert "tokens per row (or dataset.seq_length)" in result.err


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
