"""Models from a configuration, and what is said where there can be none."""

from __future__ import annotations

import json

import pytest
import torch

import float8
from float8.train.config.settings import load_settings
from float8.train.job import Job, count_steps
from float8.train.loop import Run
from float8.train.model import (
    build_model,
    compile_blocks,
    longest_row,
    meta_model,
    read_model_config,
)
from float8.train.optim import learning_rate, make_optimizer

CPU = torch.device("cpu")


def build(config, *overrides):
    settings = load_settings(str(config), overrides)
    return build_model(settings, read_model_config(settings), CPU)


def test_the_seed_alone_decides_the_weights(config):
    one, same = build(config).state_dict(), build(config).state_dict()
    other = build(config, ("rng.seed", "8")).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_the_dtype_rounds_the_same_weights(config):
    bf16 = build(config).state_dict()
    fp32 = build(config, ("model.torch_dtype", "float32")).state_dict()
    for name, tensor in bf16.items():
        assert tensor.dtype == torch.bfloat16
        assert torch.equal(tensor, fp32[name].to(torch.bfloat16))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("model.config.model_type", "lama", "llama"),
        ("model.config.model_type", "null", "a model type of transformers"),
        ("model.config.hiden_size", "64", "hidden_size"),
        ("model.config.hidden_size", "many", "model.config"),
        ("model.config.num_attention_heads", "3", "model"),
        ("model.config", "{model_type: vit}", "a causal language model"),
        ("packed_sequence.packed_sequence_size", "33", "max_position_embeddings (32)"),
    ],
)
def test_a_wrong_model_is_a_configuration_error(config, key, value, said):
    settings = load_settings(str(config), [(key, value)])

    def make():
        model_config = read_model_config(settings)
        longest_row(settings, model_config)
        meta_model(settings, model_config)

    with pytest.raises(float8.ConfigError) as caught:
        make()
    assert said in str(caught.value)


def from_folder(how, folder):
    return [
        ("model._target_", f"transformers.AutoModelForCausalLM.{how}"),
        ("model.pretrained_model_name_or_path", str(folder)),
        ("model.config", "{}"),
    ]


def test_a_local_folder_gives_the_configuration_or_the_weights(config, tmp_path):
    saved = build(config)
    saved.save_pretrained(tmp_path / "model")
    loaded = build(config, *from_folder("from_pretrained", tmp_path / "model")).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in saved.state_dict().items())
    random = build(config, ("rng.seed", "9"), *from_folder("from_config", tmp_path / "model"))
    assert random.state_dict().keys() == loaded.keys()
    assert not torch.equal(random.lm_head.weight, loaded["lm_head.weight"])


def test_a_model_that_cannot_be_had_is_one_line(cli, config, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # else it tries for half a minute
    (tmp_path / "empty").mkdir()
    for name in (tmp_path / "empty", "no/such-model"):
        words = [word for key, value in from_folder("from_pretrained", name)
                 for word in (f"--{key}", value)]  # fmt: skip
        result = cli("plan", config, *words)
        assert result.status == 2
        assert "a local folder with a config.json" in result.err
        assert result.err.count("\n") == 1


def test_each_block_is_compiled(config):
    settings = load_settings(
        str(config), [("compile.enabled", "true"), ("compile.backend", "eager")]
    )
    model = build_model(settings, read_model_config(settings), CPU)
    names = list(model.state_dict())
    assert compile_blocks(model, settings.compile) == 1
    assert list(model.state_dict()) == names
    block = model.model.layers[0]
    assert block._compiled_call_impl is not None


def test_the_learning_rate_warms_up_and_decays(config):
    settings = load_settings(
        str(config),
        [
            ("optimizer.lr", "1.0"),
            ("lr_scheduler", "{lr_decay_style: cosine, lr_warmup_steps: 4, min_lr: 0.2}"),
        ],
    )
    rates = [learning_rate(settings, step, 12) for step in range(1, 13)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[7] == pytest.approx(0.6)
    assert rates[-1] == pytest.approx(0.2)
    assert sorted(rates[3:], reverse=True) == rates[3:]


def test_the_optimizer_is_the_named_one_with_all_its_values(config):
    settings = load_settings(
        str(config),
        [
            ("optimizer._target_", "torch.optim.Adam"),
            ("optimizer.betas", "[0.5, 0.6]"),
            ("optimizer.eps", "1e-4"),
            ("optimizer.weight_decay", "0.25"),
        ],
    )
    model = torch.nn.Linear(2, 2)
    optimizer = make_optimizer(settings, model)
    assert type(optimizer) is torch.optim.Adam
    group = optimizer.param_groups[0]
    assert (group["betas"], group["eps"], group["weight_decay"]) == ((0.5, 0.6), 1e-4, 0.25)
    assert group["params"] == list(model.parameters())


def test_epochs_and_steps_the_smaller_counts(config):
    def steps(**keys):
        overrides = [(f"step_scheduler.{key}", str(value)) for key, value in keys.items()]
        return count_steps(load_settings(str(config), overrides), rows=9)

    assert steps(max_steps=6) == 6
    assert steps(max_steps="null", num_epochs=3) == 6  # 27 rows, 4 per step
    assert steps(max_steps=5, num_epochs=3) == 5
    with pytest.raises(float8.ConfigError, match="enough epochs"):
        count_steps(load_settings(str(config), [("step_scheduler.num_epochs", "1")]), rows=3)


def test_accumulation_weighs_every_target_token_the_same(config):
    """One batch of 4 rows, two of 2 and four of 1 give the same loss and the same gradient."""
    from float8.train.console import View
    from float8.train.data.loader import load_rows
    from float8.train.interrupt import StopRequest

    # Two rows of 31 targets each, then two of 16: the mean of the rows' means is another number.
    texts = ["long " * 13] + ["x"] * 40
    lines = [json.dumps({"text": text}) for text in texts]
    (config.parent / "text.jsonl").write_text("\n".join(lines))
    results = []
    for local in (4, 2, 1):
        settings = load_settings(
            str(config),
            [
                ("step_scheduler.local_batch_size", str(local)),
                ("model.torch_dtype", "float32"),
                ("model.config.initializer_range", "0.5"),  # so that rows differ in their loss
                ("dataloader.shuffle", "false"),
            ],
        )
        view = View()
        job = Job(settings, CPU, load_rows(settings, "dataset"), None, view, StopRequest())
        model = build_model(settings, read_model_config(settings), CPU)
        run = Run(job, "bf16", model, resume=False)
        values, _ = run._take_step(iter(run.loader))
        results.append((values["loss"], values["grad_norm"]))
    # The products are BF16's, whose sums over 4, 2 and 1 rows round differently: 2^-8 each.
    for loss, norm in results[1:]:
        assert loss == pytest.approx(results[0][0], rel=2**-8)
        assert norm == pytest.approx(results[0][1], rel=2**-6)
