"""From text to tokens: bytes, or a tokenizer of transformers. No code of a model is ever run,
unless the file and the command line both say so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import torch

from float8.train.config.settings import Settings
from float8.train.data.packing import Documents
from float8.train.words import kind_and_line

BYTES = "bytes"
END_OF_DOCUMENT = 256
BYTE_VOCABULARY = 257

Pair = tuple[str, str]


class Tokenizer(Protocol):
    """What a data set needs of a tokenizer.

    Attributes:
        name: as the configuration gives it.
        vocabulary: one more than its largest token.
        fingerprint: equal for two tokenizers only where they give the same tokens.
    """

    name: str
    vocabulary: int
    fingerprint: str

    def encode(self, pairs: Sequence[Pair], end: bool) -> Documents:
        """Tokens of (prompt, completion) pairs.

        Args:
            pairs: the two are tokenized apart, so that the border between them is one between
                tokens. The tokens of the prompt are no targets.
            end: a mark of the end after each completion, where the tokenizer has one.
        """


class ByteTokenizer:
    """The 256 bytes of UTF-8 and an end of document."""

    name = BYTES
    vocabulary = BYTE_VOCABULARY
    fingerprint = "utf-8 bytes and 256"

    def encode(self, pairs: Sequence[Pair], end: bool) -> Documents:
        """See Tokenizer; the mark of the end is always there."""
        coded = [[text.encode("utf-8", errors="surrogatepass") for text in pair] for pair in pairs]
        lengths = torch.tensor([len(a) + len(b) + 1 for a, b in coded], dtype=torch.int64)
        tokens = torch.full((int(lengths.sum()),), END_OF_DOCUMENT, dtype=torch.int32)
        is_text = torch.ones(tokens.numel(), dtype=torch.bool)
        is_text[lengths.cumsum(0) - 1] = False
        data = bytearray(b"".join(chain.from_iterable(coded)))
        if data:
            tokens[is_text] = torch.frombuffer(data, dtype=torch.uint8).to(torch.int32)
        prompts = torch.tensor([len(a) for a, _ in coded], dtype=torch.int64)
        return Documents(tokens, lengths, prompts)


class HubTokenizer:
    """A tokenizer of transformers.

    Args:
        name: a local folder or a hub name.
        tokenizer: what AutoTokenizer made of it.

    Raises:
        ValueError: it does not put its special tokens before and after the text.
    """

    def __init__(self, name: str, tokenizer: Any) -> None:
        self.name = name
        self._tokenizer = tokenizer
        vocabulary = tokenizer.get_vocab()
        self.vocabulary = max(vocabulary.values(), default=-1) + 1
        self._before, self._after = _special_tokens(tokenizer)
        end = tokenizer.eos_token_id
        self._end = [] if end is None or end in self._after else [end]
        backend: Any = getattr(tokenizer, "backend_tokenizer", None)
        whole: str = (
            backend.to_str()
            if hasattr(backend, "to_str")
            else json.dumps(vocabulary, sort_keys=True) + repr(tokenizer)
        )
        added = repr((self._before, self._after, self._end))
        self.fingerprint = hashlib.sha256((whole + added).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Writes it where `from_pretrained` finds it."""
        self._tokenizer.save_pretrained(folder)

    def encode(self, pairs: Sequence[Pair], end: bool) -> Documents:
        """See Tokenizer."""
        prompts = self._ids([prompt for prompt, _ in pairs])
        completions = self._ids([completion for _, completion in pairs])
        after = self._after + (self._end if end else [])
        parts, lengths = [], []
        for prompt, completion in zip(prompts, completions, strict=True):
            parts += [self._before, prompt, completion, after]
            lengths.append(len(self._before) + len(prompt) + len(completion) + len(after))
        import numpy

        tokens = numpy.fromiter(chain.from_iterable(parts), numpy.int32, sum(lengths))
        return Documents(
            torch.from_numpy(tokens),
            torch.tensor(lengths, dtype=torch.int64),
            torch.tensor([len(self._before) + len(p) for p in prompts], dtype=torch.int64),
        )

    def _ids(self, texts: list[str]) -> list[list[int]]:
        # Whole batches: the tokenizers library spreads one over all cores. Most prompts of a
        # text data set are empty, and need no tokenizer.
        if not any(texts):
            return [[]] * len(texts)
        ids: list[list[int]] = self._tokenizer(
            texts,
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,  # a text longer than the model is no mistake here
        )["input_ids"]
        return ids


def _special_tokens(tokenizer: Any) -> tuple[list[int], list[int]]:
    """What the tokenizer itself puts before and after a text."""
    plain = list(tokenizer("a", add_special_tokens=False)["input_ids"])
    whole = list(tokenizer("a")["input_ids"])
    for first in range(len(whole) - len(plain) + 1):
        if whole[first : first + len(plain)] == plain:
            return whole[:first], whole[first + len(plain) :]
    raise ValueError("its special tokens are not around the text")


def load_tokenizer(settings: Settings) -> Tokenizer:
    """The tokenizer that the data sets share.

    It is `dataset.tokenizer`, else the model's own, else (a model by `config`) bytes.

    Raises:
        float8.ConfigError: there is none by that name, it needs code of its own, or it has more
            tokens than the model.
    """
    chosen = settings.dataset.tokenizer.pretrained_model_name_or_path
    key, name = "dataset.tokenizer", chosen
    if name is None:
        key, name = (
            "model.pretrained_model_name_or_path",
            settings.model.pretrained_model_name_or_path,
        )
    tokenizer: Tokenizer
    if name in (None, BYTES):
        tokenizer = ByteTokenizer()
    else:
        assert name is not None
        tokenizer = _from_transformers(settings, key, name, own=chosen is None)
    return tokenizer


def _from_transformers(settings: Settings, key: str, name: str, own: bool) -> Tokenizer:
    from transformers import AutoTokenizer

    auto: Any = AutoTokenizer  # untyped in transformers
    try:
        return HubTokenizer(
            name, auto.from_pretrained(name, trust_remote_code=settings.trust_remote_code)
        )
    except Exception as error:  # transformers and tokenizers raise types of their own
        advice = "; or set dataset.tokenizer" if own else ""
        raise settings.document.error(
            key,
            "a local folder with a tokenizer, or one of the hub where that can be reached" + advice,
            f"`{name}` ({kind_and_line(error)})",
        ) from error


def check_vocabulary(settings: Settings, tokenizer: Tokenizer, vocab_size: int | None) -> None:
    """Raises ConfigError where the model has no embedding for some of the tokens."""
    if vocab_size is None or tokenizer.vocabulary <= vocab_size:
        return
    inline = not settings.model.pretrained_model_name_or_path
    raise settings.document.error(
        "model.config.vocab_size" if inline else "dataset.tokenizer",
        f"at most as many tokens as the model has ({vocab_size})",
        f"{tokenizer.vocabulary} of the tokenizer `{tokenizer.name}`",
    )
