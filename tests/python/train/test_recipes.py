"""The five recipe files, and files in the reference's own form."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

import float8
from float8.train.config.settings import load_settings

CONFIGS = Path(__file__).parents[3] / "configs"
MODELS = {
    "llama3_1_8b": "meta-llama/Llama-3.1-8B",
    "mistral_7b": "mistralai/Mistral-7B-v0.1",
    "mistral_nemo_2407": "mistralai/Mistral-Nemo-Base-2407",
    "qwen2_5_7b": "Qwen/Qwen2.5-7B",
    "phi_4": "microsoft/phi-4",
}


@pytest.mark.parametrize("name", MODELS)
def test_a_recipe_has_the_settings_of_the_guide(name):
    settings = load_settings(str(CONFIGS / f"{name}_hellaswag_fp8.yaml"))
    llama = name == "llama3_1_8b"
    assert settings.model.pretrained_model_name_or_path == MODELS[name]
    assert settings.model.torch_dtype == "bfloat16"
    steps = settings.step_scheduler
    assert (steps.global_batch_size, steps.local_batch_size) == (32 if llama else 8, 1)
    assert steps.ckpt_every_steps == steps.val_every_steps == (200 if llama else 50)
    assert (steps.max_steps, steps.num_epochs) == (100, None)
    optimizer = settings.optimizer
    assert optimizer._target_ == ("torch.optim.Adam" if llama else "torch.optim.AdamW")
    assert optimizer.betas == ((0.9, 0.999) if llama else (0.9, 0.95))
    assert (optimizer.lr, optimizer.eps) == (1e-5, 1e-8)
    assert optimizer.weight_decay == (0 if llama else 0.01)
    assert settings.packed_sequence.packed_sequence_size == (4096 if name == "phi_4" else 8192)
    for dataset, split in (
        (settings.dataset, "train"),
        (settings.validation_dataset, "validation"),
    ):
        assert dataset._target_.endswith(".HellaSwag")
        assert (dataset.path_or_dataset, dataset.split) == ("rowan/hellaswag", split)
    assert settings.distributed.strategy == "fsdp2"
    fp8 = settings.fp8
    assert fp8.enabled
    assert not fp8.emulate
    assert fp8.recipe_name == "tensorwise"
    assert fp8.enable_fsdp_float8_all_gather
    assert fp8.precompute_float8_dynamic_scale_for_fsdp
    assert fp8.force_recompute_fp8_weight_in_bwd
    assert list(fp8.filter_fqns) == ["lm_head"]
    assert settings.compile.enabled
    assert not settings.compile.dynamic


REFERENCE_FORM = """\
    recipe:
      _target_: nemo_automodel.recipes.llm.train_ft.TrainFinetuneRecipeForNextTokenPrediction
    step_scheduler: {global_batch_size: 8, local_batch_size: 1, max_steps: 100, num_epochs: 1}
    dist_env: {backend: nccl, timeout_minutes: 1}
    rng:
      _target_: nemo_automodel.components.training.rng.StatefulRNG
      seed: 11
      ranked: true
    model:
      _target_: nemo_automodel.NeMoAutoModelForCausalLM.from_pretrained
      pretrained_model_name_or_path: some/model
      torch_dtype: bf16
      trust_remote_code: true
    checkpoint:
      enabled: true
      checkpoint_dir: checkpoints/
      model_save_format: torch_save
      save_consolidated: false
    distributed: {strategy: fsdp2, dp_size: none, tp_size: 1, cp_size: 1, sequence_parallel: false}
    fp8: {enabled: true, recipe_name: tensorwise, enable_fsdp_float8_all_gather: true}
    loss_fn: {_target_: nemo_automodel.components.loss.masked_ce.MaskedCrossEntropy}
    dataset:
      _target_: nemo_automodel.components.datasets.llm.hellaswag.HellaSwag
      path_or_dataset: rowan/hellaswag
      split: train
    packed_sequence: {packed_sequence_size: 0}
    dataloader:
      _target_: torchdata.stateful_dataloader.StatefulDataLoader
      collate_fn: nemo_automodel.components.datasets.utils.default_collater
      shuffle: false
    validation_dataloader:
      collate_fn:
        _target_: nemo_automodel.components.datasets.utils.default_collater
        pad_seq_len_divisible: 16
    optimizer: {_target_: torch.optim.Adam, betas: [0.9, 0.999], eps: 1e-8, lr: 1.0e-5}
    ci: {recipe_owner: someone, nightly: {step_scheduler.max_steps: 7}}
"""


@pytest.fixture
def reference(tmp_path):
    """Writes a file in the reference's form, with sections added or replaced."""

    def write(**sections):
        text = textwrap.dedent(REFERENCE_FORM)
        for name, section in sections.items():
            kept, skipping = [], False
            for line in text.splitlines():
                if not line.startswith(" "):
                    skipping = line.startswith(f"{name}:")
                if not skipping:
                    kept.append(line)
            text = "\n".join([*kept, f"{name}: {section}", ""])
        path = tmp_path / "reference.yaml"
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"recipe": "TrainFinetuneRecipeForNextTokenPrediction"},
        {
            "distributed": "{dp_size: none, tp_size: 1, cp_size: 1}",
            "distributed_config": "{_target_: "
            "nemo_automodel.components.distributed.config.FSDP2Config, sequence_parallel: false}",
        },
        {
            "distributed": "{_target_: nemo_automodel.components.distributed.fsdp2.FSDP2Manager, "
            "dp_size: none, dp_replicate_size: 1, pp_size: 1, use_hf_tp_plan: false}"
        },
        {"packed_sequence": "{packed_sequence_size: 64, split_across_pack: False}"},
        {
            "packed_sequence": "{packed_sequence_size: 64, packing_strategy: neat, "
            "drop_long_samples: true}",
            "dataloader": "{collate_fn: "
            "nemo_automodel.components.datasets.utils.neat_packed_collater}",
        },
    ],
)
def test_the_references_forms_are_read(reference, sections):
    settings = load_settings(reference(**sections))
    assert settings.model.torch_dtype == "bfloat16"
    assert settings.validation_dataloader.collate_fn.pad_seq_len_divisible == 16
    assert settings.dataloader.collate_fn._target_.endswith("_collater")
    assert settings.model.trust_remote_code
    assert not settings.trust_remote_code


@pytest.mark.parametrize(
    ("section", "text", "key"),
    [
        ("recipe", "{_target_: evil.Recipe}", "recipe"),
        ("recipe", "{_target_: evil.Recipe, more: 1}", "recipe"),
        ("dataset", "{_target_: a.squad.make_squad_dataset, dataset_name: b}", "dataset._target_"),
        ("dataset", "{_target_: evil.py:make}", "dataset._target_"),
        ("dataset", "{tokenizer: {_target_: evil.Tokenizer}}", "dataset.tokenizer._target_"),
        ("dataset", "{tokenizer: {nam: a}}", "dataset.tokenizer.nam"),
        ("dataset", "{tokenizer: 7}", "dataset.tokenizer"),
        (
            "dataset",
            "{_target_: nemo_automodel.components.datasets.llm.hellaswag.HellaSwag}",
            "dataset.path_or_dataset",
        ),
        ("validation_dataset", "{tokenizer: other}", "validation_dataset.tokenizer"),
        ("dataloader", "{collate_fn: evil.collate}", "dataloader.collate_fn._target_"),
        (
            "dataloader",
            "{collate_fn: {pad_seq_len_divisible: 0}}",
            "dataloader.collate_fn.pad_seq_len_divisible",
        ),
        ("packed_sequence", "{packing_strategy: tight}", "packed_sequence.packing_strategy"),
        ("distributed", "{_target_: a.MegatronFSDPManager}", "distributed._target_"),
        ("distributed", "{pp_size: 2}", "distributed.pp_size"),
        ("distributed_config", "{_target_: a.DDPConfig}", "distributed_config._target_"),
        ("autopipeline", "{pp_schedule: a}", "autopipeline"),
        ("peft", "{dim: 8}", "peft"),
    ],
)
def test_what_cannot_be_honoured_is_named(reference, section, text, key):
    path = reference(**{section: text})
    with pytest.raises(float8.ConfigError) as caught:
        load_settings(path)
    line = Path(path).read_text().splitlines().index(f"{section}: {text}") + 1
    assert str(caught.value).startswith(f"[config] {path}:{line}: {key}: ")
