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
