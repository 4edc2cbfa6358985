"""The five recipes, as the files in configs/ have them, with tiny models of their families."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from run_files import losses
from tiny_tokenizer import save_tokenizer

import float8
from float8.train.config.settings import load_settings
from float8.train.data.packing import lay_out
from float8.train.data.tokenizer import ByteTokenizer
from float8.train.model import meta_model, read_model_config

CONFIGS = Path(__file__).parents[3] / "configs"
SIZES = {
    "vocab_size": 304, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
    "tie_word_embeddings": False,
}  # fmt: skip
# What tells the families apart: names of the linear layers, biases, the size of a head.
FAMILIES = {
    "llama3_1_8b": ("llama", {"rope_theta": 500000.0}),
    "mistral_7b": ("mistral", {"sliding_window": 64}),
    "mistral_nemo_2407": ("mistral", {"head_dim": 32, "sliding_window": None}),
    "qwen2_5_7b": ("qwen2", {}),
    "phi_4": ("phi3", {"pad_token_id": 0}),
}
SPLIT = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
FUSED = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """For each family a folder as the hub has it: configuration, weights, tokenizer; and rows."""
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    made = {}
    for name, (kind, more) in FAMILIES.items():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](**SIZES, **more))
        made[name] = tmp_path_factory.mktemp(name)
        model.to(torch.bfloat16).save_pretrained(made[name])
        save_tokenizer(made[name], before=kind != "qwen2")
    rows = tmp_path_factory.mktemp("rows")
    for split, count in (("train", 120), ("validation", 8)):
        endings = ["a chair.", "the room and jeans.", "how to paint.", "in a table."]
        text = "".join(
            json.dumps({"ctx": "the man walks " * (i % 7), "endings": endings, "label": i % 4})
            + "\n"
            for i in range(count)
        )
        (rows / f"{split}.jsonl").write_text(text)
    made["rows"] = rows
    return made


def overrides(folders, name, recipe):
    """What a try on a CPU changes in a recipe; everything else is as shipped."""
    keys = {
        "model.pretrained_model_name_or_path": folders[name],
        "dataset.path_or_dataset": folders["rows"],
        "validation_dataset.path_or_dataset": folders["rows"],
        "packed_sequence.packed_sequence_size": 64,
        "step_scheduler.global_batch_size": 4,
        "step_scheduler.local_batch_size": 2,
        "step_scheduler.max_steps": 3,
        "optimizer.lr": "2e-3",
        "dist_env.backend": "gloo",
        "compile.enabled": "false",
        "fp8.emulate": "true",
        "fp8.recipe_name": recipe,
    }
    if recipe != "tensorwise":
        keys["fp8.enable_fsdp_float8_all_gather"] = "false"
        keys["fp8.precompute_float8_dynamic_scale_for_fsdp"] = "false"
    return [(key, str(value)) for key, value in keys.items()]


def file_of(name):
    return str(CONFIGS / f"{name}_hellaswag_fp8.yaml")


@pytest.mark.parametrize("name", FAMILIES)
def test_every_linear_layer_but_the_head_is_converted(folders, name):
    settings = load_settings(file_of(name), overrides(folders, name, "tensorwise"))
    model = meta_model(settings, read_model_config(settings))
    linears = {n: m for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
    each = FUSED if name == "phi_4" else SPLIT
    assert len(linears) == 2 * len(each) + 1
    assert {layer.rpartition(".")[2] for layer in linears} == {*each, "lm_head"}
    if name == "mistral_nemo_2407":
        query = linears["model.layers.0.self_attn.q_proj"]
        assert query.out_features == 4 * 32 != query.in_features
    biased = {n.rpartition(".")[2] for n, m in linears.items() if m.bias is not None}
    assert biased == ({"q_proj", "k_proj", "v_proj"} if name == "qwen2_5_7b" else set())

    float8.plan_conversion(model, config=settings.fp8).apply()
    converted = {n for n, m in model.named_modules() if isinstance(m, float8.Float8Linear)}
    assert converted == linears.keys() - {"lm_head"}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_recipe_trains_a_tiny_model_of_its_family(folders, name, cli, tmp_path):
    """BF16 and the three recipes from the same weights: the same loss but for the casts' noise."""
    curves = {}
    for recipe in ("tensorwise", "rowwise", "rowwise_with_gw_hp"):
        words = [w for key, value in overrides(folders, name, recipe) for w in (f"--{key}", value)]
        words += ["--output_dir", str(tmp_path / recipe), "--checkpoint.enabled", "false"]
        words += ["--bf16_baseline", str(recipe == "tensorwise").lower()]
        result = cli("train", file_of(name), *words)
        assert result.status == 0, result.err
        curves[recipe] = losses(tmp_path / recipe, "fp8")
    bf16 = losses(tmp_path / "tensorwise", "bf16")
    assert bf16[-1] < bf16[0] - 0.05, "it learns"
    for curve in curves.values():
        assert len(curve) == 3
        # The casts' noise over three steps, which take 0.5 off a loss of 5.7, was at most 0.0075.
        assert curve == pytest.approx(bf16, abs=0.03)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_packed_document_gets_the_same_logits_as_alone(name):
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    kind, more = FAMILIES[name]
    torch.manual_seed(0)
    # Large weights, so that a leak would be large too.
    config = CONFIG_MAPPING[kind](**SIZES, **more, initializer_range=0.3)
    model = AutoModelForCausalLM.from_config(config).train()
    pairs = [("", text) for text in ("the first document", "the second one", "and a third")]
    rows = lay_out(ByteTokenizer().encode(pairs, end=True), 40, split=False)
    batch = rows.collate([rows[index] for index in range(len(rows))])
    given = {key: batch[key] for key in ("input_ids", "position_ids")}
    with torch.no_grad():
        packed = model(**given, use_cache=False).logits
        for row, start, size in ((0, 0, 19), (0, 19, 15), (1, 0, 12)):
            place = slice(start, start + size)
            alone = model(batch["input_ids"][row : row + 1, place], use_cache=False).logits[0]
            # float32 sums in another order, over logits of the order of 10.
            torch.testing.assert_close(packed[row, place], alone, rtol=1e-4, atol=1e-4)
