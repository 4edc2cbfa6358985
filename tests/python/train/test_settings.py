"""Reading a configuration: what is accepted, and the errors about the rest."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import float8
from float8.train.config import settings as module
from float8.train.config.settings import load_settings

README = Path(__file__).parents[3] / "configs" / "README.md"


def error_of(config: Path, *overrides: tuple[str, str]) -> str:
    with pytest.raises(float8.ConfigError) as caught:
        load_settings(str(config), overrides)
    return str(caught.value)


def test_a_file_fills_the_sections(config):
    settings = load_settings(str(config))
    assert settings.step_scheduler.global_batch_size == 4
    assert settings.optimizer.lr == 1e-3  # written `1e-3`, which is a number in YAML 1.2
    assert settings.fp8.filter_fqns == ["lm_head"] or tuple(settings.fp8.filter_fqns) == (
        "lm_head",
    )
    assert settings.validation_dataset is None
    assert settings.checkpoint_dir == settings.output_dir / "checkpoints"


def test_the_command_line_wins(config):
    settings = load_settings(
        str(config),
        [
            ("optimizer.lr", "1e-5"),
            ("optimizer.betas", "[0.8, 0.9]"),
            ("clip_grad_norm.max_norm", "1"),
            ("fp8.recipe_name", "rowwise"),
            ("distributed.dp_size", "none"),
        ],
    )
    assert settings.optimizer.lr == 1e-5
    assert settings.optimizer.betas == (0.8, 0.9)
    assert settings.clip_grad_norm.max_norm == 1.0
    assert settings.fp8.recipe_name == "rowwise"
    assert settings.distributed.dp_size is None


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("optimzer.lr", "optimizer"),
        ("optimizer.weight_dacay", "weight_decay"),
        ("step_scheduler.max_step", "max_steps"),
        ("fp8.recipe_nam", "recipe_name"),
        ("bf16_basline", "bf16_baseline"),
    ],
)
def test_a_typo_on_the_command_line_names_the_nearest_key(config, typo, meant):
    text = error_of(config, (typo, "1"))
    assert "command line" in text
    assert meant in text.replace(typo, "")
    assert "valid:" not in text  # one name, not the list of all


def test_an_error_in_the_file_names_file_line_and_key(config):
    config.write_text(config.read_text().replace("max_steps: 6", "max_steps: six"))
    text = error_of(config)
    assert f"{config}:6" in text
    assert "step_scheduler.max_steps" in text
    assert "an integer" in text
    assert "six" in text


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("step_scheduler.max_steps", "0", "at least 1"),
        ("step_scheduler.max_steps", "true", "an integer"),
        ("step_scheduler.max_steps", "1.5", "an integer"),
        ("step_scheduler.max_steps", "null", "max_steps or num_epochs"),
        ("step_scheduler.global_batch_size", "3", "a multiple of local_batch_size (2)"),
        ("packed_sequence.packed_sequence_size", "1", "at least 2"),
        ("optimizer.lr", "-1", "more than 0"),
        ("optimizer.lr", ".nan", "more than 0"),
        ("optimizer.lr", "fast", "a number"),
        ("optimizer.betas", "[0.9]", "a list of 2 numbers"),
        ("optimizer.betas", "[0.9, 1.0]", "less than 1"),
        ("optimizer", "[]", "a map of keys"),
        ("bf16_baseline", "1", "true or false"),
        ("lr_scheduler.lr_decay_style", "cosin", "one of constant, cosine, linear"),
        ("distributed.tp_size", "2", "only data is parallel"),
        ("distributed.cp_size", "2", "only data is parallel"),
        ("distributed.sequence_parallel", "true", "tensor parallelism"),
        ("dataset.split", "train", "a local file has no splits"),
        ("dataset.path_or_dataset", "other.txt", "one file"),
        ("model.pretrained_model_name_or_path", "folder", "either config or"),
        ("rng.seed", "99999999999999", "less than"),
    ],
)
def test_a_wrong_value_says_what_was_expected(config, key, value, said):
    text = error_of(config, (key, value))
    assert said in text
    assert key in text or key.split(".")[0] in text


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("optimizer._target_", "torch.optim.AdamW"),
        ("model._target_", "transformers.AutoModelForCausalLM.from_config"),
        ("dataloader._target_", "torchdata.stateful_dataloader.StatefulDataLoader"),
        ("loss_fn._target_", "torch.nn.CrossEntropyLoss"),
        ("rng._target_", "StatefulRNG"),
        ("recipe", "TrainFinetuneRecipeForNextTokenPrediction"),
    ],
)
def test_an_unknown_target_lists_the_known_and_is_not_imported(
    config, key, known, tmp_path, monkeypatch
):
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    text = error_of(config, (key, "evil.Optimizer"))
    assert "evil.Optimizer" in text
    assert known in text


def test_the_readme_explains_every_key():
    text = README.read_text()
    for name, section in module.SECTIONS.items():
        assert f"`{name}`" in text, name
        for field in dataclasses.fields(section):
            said = "others" if (name, field.name) == ("optimizer", "others") else f"`{field.name}`"
            assert said in text, f"{name}.{field.name}"
    for name in module._SCALARS:
        assert f"`{name}`" in text, name


def test_every_shipped_configuration_can_be_read():
    files = sorted(README.parent.glob("*.yaml"))
    assert files
    for path in files:
        load_settings(str(path))
