"""The model at the end of a run, as transformers loads it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from run_files import saved_weights
from safetensors.torch import load_file
from tiny_tokenizer import save_tokenizer

from float8.train.config.settings import load_settings
from float8.train.model import build_model, read_model_config

WORDS = ("--bf16_baseline", "false", "--checkpoint.save_consolidated", "true",
         "--step_scheduler.max_steps", 2)  # fmt: skip
# What somebody does who has transformers and never heard of this package.
LOADS = """
import sys, torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM
sys.modules["float8"] = None
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
assert model.dtype == torch.bfloat16, model.dtype
with torch.no_grad():
    logits = model(torch.arange(24).view(1, 24)).logits
save_file({"logits": logits}, sys.argv[2])
"""


@pytest.mark.parametrize("tied", ["false", "true"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_transformers_gets_the_trained_models_logits(cli, config, run, tmp_path, tied, dtype):
    keys = ("--model.config.tie_word_embeddings", tied, "--model.torch_dtype", dtype)
    result = cli("train", config, *WORDS, *keys)
    assert result.status == 0, result.err
    folder = run / "checkpoints" / "fp8"
    logits = tmp_path / "logits.safetensors"
    subprocess.run(
        [sys.executable, "-c", LOADS, str(folder / "consolidated"), str(logits)], check=True
    )
    settings = load_settings(str(config), [("model.config.tie_word_embeddings", tied)])
    model = build_model(settings, read_model_config(settings), torch.device("cpu")).eval()
    untrained = model.lm_head.weight.detach().clone()
    left = model.load_state_dict(saved_weights(folder / "step_2"), strict=False)
    assert left.missing_keys == (["lm_head.weight"] if tied == "true" else [])
    assert not torch.equal(model.lm_head.weight, untrained)
    with torch.no_grad():
        expected = model(torch.arange(24).view(1, 24)).logits
    assert torch.equal(load_file(logits)["logits"], expected)


def test_what_training_turns_off_is_on_in_the_export(cli, config, run):
    """A generation without a cache would take the square of its time."""
    assert cli("train", config, *WORDS).status == 0
    about = json.loads((run / "checkpoints" / "fp8" / "consolidated" / "config.json").read_text())
    assert about["use_cache"] is True
    assert about["dtype"] == "bfloat16"


def test_what_lies_beside_the_weights_goes_along(cli, config, run, tmp_path):
    settings = load_settings(str(config), [("model.config.vocab_size", "304")])
    source = tmp_path / "model"
    build_model(settings, read_model_config(settings), torch.device("cpu")).save_pretrained(source)
    save_tokenizer(source)
    (source / "generation_config.json").write_text('{"eos_token_id": [1, 7]}')
    model = (
        f"{{_target_: transformers.AutoModelForCausalLM.from_pretrained, "
        f"pretrained_model_name_or_path: {source}}}"
    )
    result = cli("train", config, *WORDS, "--model", model)
    assert result.status == 0, result.err
    exported = run / "checkpoints" / "fp8" / "consolidated"
    for name in ("generation_config.json", "tokenizer.json"):
        assert (exported / name).read_text() == (source / name).read_text()
