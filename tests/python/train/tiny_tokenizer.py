"""A tokenizer of a few hundred tokens, trained on the spot: byte-level BPE, as Llama 3 and Qwen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

WORDS = "the a man woman is sits stands walks on in chair table room then and jeans paint how to. "


def save_tokenizer(
    folder: Path, vocabulary: int = 300, before: bool = True, texts: Sequence[str] = (WORDS,) * 4
) -> None:
    """Writes a tokenizer without a pad token into `folder`.

    Args:
        folder: where `tokenizer.json` and its configuration go.
        vocabulary: how many tokens, `<s>` (0) and `</s>` (1) among them.
        texts: what it is trained on.
        before: whether it puts `<s>` before each text, as Llama's does and Qwen's does not.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    if before:
        made.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", 0)]
        )
    fast = PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>")
    fast.save_pretrained(folder)
