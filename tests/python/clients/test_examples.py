"""The documented examples, with the real packages: what they train is FP8, and learns."""

import copy

import pytest
import torch
import transformers
from op_counts import counted_ops

import float8

PROJECTIONS = 7  # of the one block


def converted(model) -> list[str]:
    return [name for name, m in model.named_modules() if isinstance(m, float8.Float8Linear)]


def loss_of(model, dataset) -> float:
    batch = {name: torch.stack([row[name] for row in dataset]) for name in dataset[0]}
    with torch.no_grad():
        return float(model(**batch).loss)


@pytest.fixture
def learned(model, dataset):
    """Asserts that the model predicts its text better than before."""
    before = loss_of(model, dataset)

    def check(trained=model) -> None:
        assert loss_of(trained, dataset) < before

    return check


@pytest.fixture
def training_arguments(monkeypatch):
    """Changes what the example asks of the Trainer, and remembers it."""
    original = transformers.TrainingArguments
    asked = {}

    def change(**changes):
        def arguments(**given):
            asked.update(given)
            return original(**{**given, **changes})

        monkeypatch.setattr(transformers, "TrainingArguments", arguments)
        return asked

    return change


def test_transformers(run_example, model, learned, training_arguments):
    asked = training_arguments(torch_compile_backend="aot_eager")  # Inductor takes a minute
    frames = torch._dynamo.utils.counters["frames"]
    frames.clear()
    names = run_example("transformers")
    assert asked["torch_compile"]
    assert frames["ok"] > 0  # it was compiled
    assert len(converted(model)) == PROJECTIONS
    assert not isinstance(model.lm_head, float8.Float8Linear)
    assert names["trainer"].state.global_step == 4
    learned()
    with counted_ops() as counts:  # once more: tracing calls the operators, too
        names["trainer"].train()
    microbatches = 4 * 2
    assert counts["float8::scaled_mm"] == microbatches * PROJECTIONS * 3


def test_transformers_counts_fp8_products(run_example, model, training_arguments):
    training_arguments(torch_compile=False)  # each product is a call that can be counted
    with counted_ops() as counts:
        run_example("transformers")
    microbatches = 4 * 2
    assert counts["float8::scaled_mm"] == microbatches * PROJECTIONS * 3


def test_a_trainers_checkpoint_goes_on(run_example, model, tmp_path, training_arguments):
    """The saved folder is a plain BF16 model, which loads without float8 and converts again."""
    training_arguments(torch_compile=False)
    names = run_example("transformers")
    names["trainer"].save_model(str(tmp_path / "saved"))
    loaded = type(model).from_pretrained(tmp_path / "saved")
    assert converted(loaded) == []
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_accelerate(run_example, model, learned):
    with counted_ops() as counts:
        names = run_example("accelerate")
    state = names["optimizer"].state[model.lm_head.weight]
    assert state["step"] == 4  # of eight microbatches
    assert len(converted(model)) == PROJECTIONS + 1
    assert counts["float8::scaled_mm"] == 8 * (PROJECTIONS + 1) * 3
    learned()


def test_lightning(run_example, model, learned):
    with counted_ops() as counts:
        names = run_example("Lightning")
    assert names["trainer"].global_step == 4
    assert counts["float8::scaled_mm"] == 8 * (PROJECTIONS + 1) * 3
    learned()


@pytest.mark.parametrize("example", ["peft", "peft, after the conversion"])
def test_peft(run_example, model, dataset, example):
    lora = run_example(example)["model"]
    fp8 = converted(lora)
    assert len(fp8) == PROJECTIONS + 1
    assert not any("lora_" in name for name in fp8)
    assert sum("base_layer" in name for name in fp8) == 2

    base = {n: p for n, p in lora.named_parameters() if not p.requires_grad}
    before = copy.deepcopy(base)
    optimizer = torch.optim.AdamW((p for p in lora.parameters() if p.requires_grad), lr=1e-2)
    batch = {name: torch.stack([row[name] for row in dataset]) for name in dataset[0]}
    losses = []
    for _ in range(5):
        with counted_ops() as counts:
            loss = lora(**batch).loss
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    for name, tensor in base.items():
        assert torch.equal(tensor, before[name]), name
    # A frozen layer has no product for its weight; the first three see an input without gradient.
    assert counts["float8::scaled_mm"] == 2 * (PROJECTIONS + 1) - 3
    merged = lora.merge_and_unload()
    assert len(converted(merged)) == PROJECTIONS + 1
    assert torch.isfinite(merged(**batch).loss)
