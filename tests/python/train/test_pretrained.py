"""Weights of a folder: those of another model, or damaged ones, are found before anything else."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from processes import run
from run_files import losses
from safetensors.torch import load_file, save_file

import float8
from float8.train.config.settings import load_settings
from float8.train.model import build_model, meta_model, read_model_config
from float8.train.pretrained import check_weights, files_of, load_pretrained

CPU = torch.device("cpu")
KEYS = {
    "model._target_": "transformers.AutoModelForCausalLM.from_pretrained",
    "model.config": "{}",
    "dataset.tokenizer": "bytes",
}


def save(config, folder, **keys: str) -> None:
    """A model of the tiny configuration, with these keys of it changed."""
    overrides = [(f"model.config.{key}", value) for key, value in keys.items()]
    settings = load_settings(str(config), overrides)
    build_model(settings, read_model_config(settings), CPU).save_pretrained(folder)


@pytest.fixture
def folder(config, tmp_path):
    """A whole model."""
    save(config, tmp_path / "model")
    return tmp_path / "model"


def settings_of(config, folder):
    overrides = [*KEYS.items(), ("model.pretrained_model_name_or_path", str(folder))]
    return load_settings(str(config), overrides)


def words_of(folder) -> list[str]:
    keys = KEYS | {"model.pretrained_model_name_or_path": str(folder)}
    return [word for key, value in keys.items() for word in (f"--{key}", value)]


def weights_of(config, folder, **keys: str) -> None:
    """Puts another model's weights beside the folder's config.json."""
    other = folder.with_name("other")
    save(config, other, **keys)
    shutil.copy(other / "model.safetensors", folder / "model.safetensors")


def rename(folder, old: str, new: str) -> None:
    state = load_file(folder / "model.safetensors")
    state = {name.replace(old, new): tensor for name, tensor in state.items()}
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def refused(config, folder) -> str:
    """What is said about the folder, before a model has any memory."""
    settings = settings_of(config, folder)
    with pytest.raises(float8.ConfigError) as caught:
        check_weights(settings, meta_model(settings, read_model_config(settings)))
    assert "model.pretrained_model_name_or_path" in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_models_own_weights_are_accepted(config, folder):
    settings = settings_of(config, folder)
    assert check_weights(settings, meta_model(settings, read_model_config(settings))) == ""


@pytest.mark.parametrize("tied", ["true", "false"])
def test_an_embedding_that_is_the_head_too(config, tmp_path, tied):
    save(config, tmp_path / "tied", tie_word_embeddings=tied)
    settings = settings_of(config, tmp_path / "tied")
    assert check_weights(settings, meta_model(settings, read_model_config(settings))) == ""
    model = load_pretrained(settings, read_model_config(settings), torch.bfloat16)
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == (tied == "true")


def test_a_tied_head_may_be_in_the_file_once_more(config, tmp_path):
    save(config, tmp_path / "tied", tie_word_embeddings="true")
    state = load_file(tmp_path / "tied" / "model.safetensors")
    state["lm_head.weight"] = state["model.embed_tokens.weight"].clone()
    save_file(state, tmp_path / "tied" / "model.safetensors", {"format": "pt"})
    settings = settings_of(config, tmp_path / "tied")
    assert check_weights(settings, meta_model(settings, read_model_config(settings))) == ""


def test_fewer_layers_than_the_model_has(config, folder, tmp_path):
    save(config, folder, num_hidden_layers="2")
    weights_of(config, folder)
    text = refused(config, folder)
    assert f"`{folder}` with no model.layers.1.self_attn.q_proj.weight, " in text
    assert "and 6 more" in text


def test_other_sizes(config, folder):
    weights_of(config, folder, intermediate_size="64")
    text = refused(config, folder)
    assert "model.layers.0.mlp.gate_proj.weight [64, 32] instead of [48, 32], " in text


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda file: file.unlink(), "no model.safetensors in it"),
        (lambda file: file.write_bytes(b"x" * 100), "a file is missing or damaged: "),
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "a file is missing or damaged: "),
    ],
)
def test_a_file_that_is_none(config, folder, damage, said):
    damage(folder / "model.safetensors")
    assert said in refused(config, folder)


@pytest.mark.parametrize("processes", [1, 2])
def test_it_is_said_before_an_earlier_run_is_moved(cli, config, folder, tmp_path, processes):
    (tmp_path / "run" / "fp8").mkdir(parents=True)
    weights_of(config, folder, intermediate_size="64")
    if processes == 1:
        result = cli("train", config, *words_of(folder))
    else:
        result = run("train", config, *words_of(folder), processes=2)
    assert result.status == 2
    assert result.err.count("\n") == 1
    # It is the same on each rank, so that which one was first is nobody's business.
    assert result.err.startswith("float8: error: [config] ")
    assert (tmp_path / "run" / "fp8").exists()


def test_weights_without_a_place_are_said(cli, config, folder, tmp_path):
    weights_of(config, folder, num_hidden_layers="2")
    more = ("--bf16_baseline", "false", "--step_scheduler.max_steps", 1)
    result = cli("train", config, *words_of(folder), *more)
    assert result.status == 0, result.err
    (line,) = [line for line in result.out.splitlines() if "no place" in line]
    assert line.endswith("layers.1.mlp.gate_proj.weight and 6 more")
    assert result.err == ""  # no table, no bar
    assert len(losses(tmp_path / "run", "fp8")) == 1


def test_names_that_only_loading_can_tell(config, folder):
    """transformers has other names for the weights of some models, and for a part of them."""
    rename(folder, "model.layers.0.mlp.up_proj", "model.layers.0.mlp.up")
    settings = settings_of(config, folder)
    model_config = read_model_config(settings)
    assert check_weights(settings, meta_model(settings, model_config)) == ""
    with pytest.raises(float8.ConfigError, match=r"with no model\.layers\.0\.mlp\.up_proj\.weight"):
        load_pretrained(settings, model_config, torch.bfloat16)


def test_sizes_that_only_loading_can_tell(config, folder):
    weights_of(config, folder, intermediate_size="64")
    settings = settings_of(config, folder)
    with pytest.raises(float8.ConfigError, match=r"weight \[64, 32\] instead of \[48, 32\]"):
        load_pretrained(settings, read_model_config(settings), torch.bfloat16)


def test_an_index_cannot_name_a_file_elsewhere(config, folder, tmp_path):
    (tmp_path / "outside.safetensors").write_bytes(b"")
    index = {"weight_map": {"lm_head.weight": "../outside.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert files_of(folder) == {"lm_head.weight": "outside.safetensors"}


def test_weights_in_an_older_format_are_left_to_transformers(config, folder):
    """Their names cannot be read without their code."""
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    settings = settings_of(config, folder)
    assert check_weights(settings, meta_model(settings, read_model_config(settings))) == ""
    with pytest.raises(float8.ConfigError, match="a local folder"):  # it is no such file
        build_model(settings, read_model_config(settings), CPU)
