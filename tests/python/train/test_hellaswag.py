"""HellaSwag through the whole command: packed and unpacked, in the reference's own words."""

from __future__ import annotations

import json

import pytest
import torch
from run_files import losses
from tiny_tokenizer import save_tokenizer

from float8.train.config.settings import load_settings
from float8.train.data.loader import load_rows, validation_batches
from float8.train.data.packing import IGNORED
from float8.train.processes.ranks import Ranks

RECIPE = """\
recipe:
  _target_: nemo_automodel.recipes.llm.train_ft.TrainFinetuneRecipeForNextTokenPrediction
output_dir: {folder}/run
bf16_baseline: true
step_scheduler: {{global_batch_size: 4, local_batch_size: 2, max_steps: 3, val_every_steps: 2}}
rng: {{seed: 3}}
model:
  _target_: nemo_automodel.NeMoAutoModelForCausalLM.from_pretrained
  pretrained_model_name_or_path: {folder}/model
  torch_dtype: bf16
dataset:
  _target_: nemo_automodel.components.datasets.llm.hellaswag.HellaSwag
  path_or_dataset: {folder}/rows
  split: train
validation_dataset:
  _target_: nemo_automodel.components.datasets.llm.hellaswag.HellaSwag
  path_or_dataset: {folder}/rows
  split: validation
  num_samples_limit: 5
packed_sequence: {{packed_sequence_size: {length}}}
dataloader:
  _target_: torchdata.stateful_dataloader.StatefulDataLoader
  collate_fn:
    _target_: nemo_automodel.components.datasets.utils.default_collater
    pad_seq_len_divisible: 16
  shuffle: false
validation_dataloader:
  _target_: torchdata.stateful_dataloader.StatefulDataLoader
  collate_fn: nemo_automodel.components.datasets.utils.default_collater
optimizer: {{_target_: torch.optim.AdamW, lr: 1e-2, betas: [0.9, 0.95], weight_decay: 0.01}}
checkpoint: {{enabled: false}}
fp8: {{enabled: true, recipe_name: tensorwise, filter_fqns: [lm_head], emulate: true}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny Llama with its tokenizer, and rows of HellaSwag's form."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("hellaswag")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=304, hidden_size=32, intermediate_size=48, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder / "model")
    save_tokenizer(folder / "model")
    (folder / "rows").mkdir()
    for split, count in (("train", 40), ("validation", 9)):
        rows = [
            {
                "ctx": f"the man {'walks then ' * (number % 5)}sits on",
                "endings": ["a chair.", "the room.", "jeans and paint.", "in a table."],
                "label": str(number % 4),
            }
            for number in range(count)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "rows" / f"{split}.jsonl").write_text(text)
    return folder


@pytest.fixture
def recipe(folder, tmp_path):
    """Writes the file, packed or not."""

    def write(length):
        path = tmp_path / "recipe.yaml"
        path.write_text(RECIPE.format(folder=folder, length=length))
        return path

    return write


@pytest.mark.parametrize("length", [0, 64])
def test_a_recipe_trains_from_a_folder(recipe, folder, cli, length):
    result = cli("train", recipe(length), "--output_dir", folder / f"run{length}")
    assert result.status == 0, result.err
    assert "dataset: 40 documents" in result.out
    assert "validation_dataset: 5 documents" in result.out
    bf16, fp8 = (losses(folder / f"run{length}", run) for run in ("bf16", "fp8"))
    assert len(bf16) == len(fp8) == 3
    assert bf16[-1] < bf16[0] - 0.3
    # The casts' noise on a loss of about 5.7: 0.003 here.
    assert fp8 == pytest.approx(bf16, abs=0.03)


@pytest.mark.parametrize("length", [0, 64])
def test_only_the_endings_are_targets(recipe, length):
    """The labels are the tokens of the right endings, in order, by the tokenizer itself."""
    from transformers import AutoTokenizer

    settings = load_settings(str(recipe(length)))
    rows = load_rows(settings, "dataset")
    labels = rows.labels[rows.labels != IGNORED]
    endings = ["a chair.", "the room.", "jeans and paint.", "in a table."] * 10
    tokenizer = AutoTokenizer.from_pretrained(settings.model.pretrained_model_name_or_path)
    expected = tokenizer(endings, add_special_tokens=False)["input_ids"]
    assert labels.tolist() == [token for ending in expected for token in ending]


def test_unpacked_batches_are_padded_as_the_reference_pads(recipe, folder):
    """One width for all of a data set (HellaSwag's default), or the batch's own; of 16 or not."""
    settings = load_settings(str(recipe(0)))
    rows, held_out = load_rows(settings, "dataset"), load_rows(settings, "validation_dataset")
    sizes = rows.starts.diff()
    assert len(rows) == 40
    assert sizes.unique().numel() > 1
    assert rows.longest == -(-int(sizes.max()) // 16) * 16
    shapes = {tuple(b["labels"].shape) for b in validation_batches(settings, held_out, Ranks())}
    widest = int(held_out.starts.diff().max())
    assert shapes == {(2, widest), (1, widest)}  # no multiple: its loader has no such key
    own = load_settings(str(recipe(0)), [("validation_dataset.pad_to_max_length", "false")])
    rows = load_rows(own, "validation_dataset")
    widths = [b["labels"].shape[1] for b in validation_batches(own, rows, Ranks())]
    sizes = rows.starts.diff().tolist()
    assert widths == [max(sizes[:2]), max(sizes[2:4]), sizes[4]]


def test_packing_does_not_change_the_loss(recipe, folder):
    """All documents in one model, packed and unpacked: the same mean over the targets."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder / "model").eval()
    means = []
    for length in (0, 64):
        settings = load_settings(str(recipe(length)))
        total, targets = 0.0, 0
        for batch in validation_batches(settings, load_rows(settings, "dataset"), Ranks()):
            with torch.no_grad():
                given = {name: batch[name] for name in ("input_ids", "position_ids")}
                logits = model(**given, use_cache=False).logits
            total += float(
                torch.nn.functional.cross_entropy(
                    logits.flatten(0, 1), batch["labels"].flatten(), reduction="sum"
                )
            )
            targets += int((batch["labels"] != IGNORED).sum())
        means.append(total / targets)
    # float32 sums over a loss of 5.7.
    assert means[0] == pytest.approx(means[1], abs=1e-5)


def test_documents_longer_than_a_row_are_cut_and_counted(recipe):
    settings = load_settings(str(recipe(16)))
    rows = load_rows(settings, "dataset")
    assert "cut to 16 tokens" in rows.summary
    drop = load_settings(str(recipe(16)), [("packed_sequence.drop_long_samples", "true")])
    assert "cut" not in load_rows(drop, "dataset").summary
    assert "left out" in load_rows(drop, "dataset").summary
