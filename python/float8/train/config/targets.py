"""The names that `_target_` may hold. A file is data: nothing it names is ever imported.

The reference's own names stand beside torch's, so that its files run here unchanged. Each table
maps an accepted name to what this package does for it.
"""

from __future__ import annotations

from float8.train.config.document import Document

_AUTO = ("transformers.AutoModelForCausalLM", "nemo_automodel.NeMoAutoModelForCausalLM")

MODEL = {f"{owner}.{how}": how for owner in _AUTO for how in ("from_config", "from_pretrained")}
# Not LBFGS, which wants a closure; nor those that want gradients or weights of one kind.
OPTIMIZER = {
    f"torch.optim.{name}": name
    for name in (
        "Adam", "AdamW", "Adadelta", "Adagrad", "Adamax", "ASGD", "NAdam", "RAdam",
        "RMSprop", "Rprop", "SGD",
    )
}  # fmt: skip
DATALOADER = {"torchdata.stateful_dataloader.StatefulDataLoader": "StatefulDataLoader"}
RNG = {"nemo_automodel.components.training.rng.StatefulRNG": "rng"}
DISTRIBUTED = {"nemo_automodel.components.distributed.fsdp2.FSDP2Manager": "fsdp2"}
LOSS = {
    "torch.nn.CrossEntropyLoss": "cross_entropy",
    "nemo_automodel.components.loss.masked_ce.MaskedCrossEntropy": "cross_entropy",
}
_RECIPE = "TrainFinetuneRecipeForNextTokenPrediction"
RECIPE = {_RECIPE: "next_token", f"nemo_automodel.recipes.llm.train_ft.{_RECIPE}": "next_token"}
DATASET = {"nemo_automodel.components.datasets.llm.hellaswag.HellaSwag": "hellaswag"}
TOKENIZER = {
    "transformers.AutoTokenizer.from_pretrained": "auto",
    "nemo_automodel.NeMoAutoTokenizer.from_pretrained": "auto",
}
_COLLATE = "nemo_automodel.components.datasets.utils."
COLLATE = {
    f"{_COLLATE}default_collater": "pad",
    f"{_COLLATE}packed_sequence_thd_collater": "pad",
    f"{_COLLATE}neat_packed_collater": "pad",
}
DISTRIBUTED = {"nemo_automodel.components.distributed.fsdp2.FSDP2Manager": "fsdp2"}
DISTRIBUTED_CONFIG = {"nemo_automodel.components.distributed.config.FSDP2Config": "fsdp2"}


def look_up(document: Document, dotted: str, name: str, table: dict[str, str]) -> str:
    """Returns what `name` stands for in `table`.

    Raises:
        float8.ConfigError: it is not in the table; the error lists what is.
    """
    if name not in table:
        raise document.error(dotted, "one of " + ", ".join(table), f"`{name}`", table)
    return table[name]
