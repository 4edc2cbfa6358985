"""One optimizer step's computation: a global batch forward and backward, over all ranks."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor
from torch.nn import functional

from float8.inspection import HealthReport, inspect
from float8.train.data.packing import IGNORED, Batch
from float8.train.job import Job
from float8.train.processes.shard import sharded_modules


@dataclass(frozen=True)
class Gradients:
    """What a global batch came to, the same on every rank."""

    loss: float
    norm: float
    tokens: int
    stop: bool
    health: HealthReport | None

    @property
    def finite(self) -> bool:
        """Whether an optimizer may use them."""
        return math.isfinite(self.loss) and math.isfinite(self.norm)


class Computation:
    """Computes losses and gradients of one model.

    Args:
        job: what is trained on, and where.
        model: sharded, where there are more processes.
    """

    def __init__(self, job: Job, model: Any) -> None:
        self.job, self.model = job, model
        # float32 weights are master weights: the products are BF16's all the same. FSDP2 gathers
        # them in BF16; without it autocast does the cast.
        master = job.settings.model.torch_dtype == "float32"
        self._sharded = sharded_modules(model)
        self._autocast = master and not self._sharded

    def gradients(self, batch: list[Batch], inspected: bool) -> Gradients:
        """Forward and backward of this rank's part of a global batch; gradients are clipped.

        Args:
            batch: the microbatches.
            inspected: report on the casts too.
        """
        device, ranks = self.job.device, self.job.ranks
        # The mean is over all target tokens of the global batch: a mean of the local batches'
        # means would weigh tokens by how full their batch happens to be.
        targets = sum(int((part["labels"] != IGNORED).sum()) for part in batch)
        counted = ranks.sum(torch.tensor(float(targets), device=device)).clamp_(min=1)
        # The loss, and whether some rank was asked to stop: one message for both.
        told = torch.zeros(2, device=device)
        with inspect(self.model) if inspected else contextlib.nullcontext() as health:
            for index, part in enumerate(batch):
                self._synchronize(last=index + 1 == len(batch))
                loss = self.loss_sum(part) / counted
                loss.backward()  # type: ignore[no-untyped-call]
                told[0] += loss.detach()
        norm = self._clip(self.job.settings.clip_grad_norm.max_norm)
        told[1] = float(self.job.stop.requested)
        loss_value, stop = ranks.sum(told).tolist()
        tokens = sum(part["input_ids"].numel() for part in batch) * ranks.world
        return Gradients(loss_value, float(norm), tokens, stop > 0, health)

    def _synchronize(self, last: bool) -> None:
        """Whether this microbatch's backward pass sums the gradients over the ranks.

        Each does as a rule: waiting for the last would keep those of the whole model, in float32,
        on every rank.
        """
        if self.job.settings.distributed.defer_fsdp_grad_sync:
            for module in self._sharded:
                module.set_requires_gradient_sync(last, recurse=False)
                module.set_is_last_backward(last)

    def _clip(self, max_norm: float | None) -> torch.Tensor:
        parameters = list(self.model.parameters())
        gradients = [each.grad for each in parameters if each.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if isinstance(norm, DTensor):
            norm = norm.full_tensor()
        if max_norm is not None:
            # A norm that is not finite would spoil the gradients that still are, and with them
            # the report about the others.
            usable = torch.where(norm.isfinite(), norm, torch.zeros_like(norm))
            nn.utils.clip_grads_with_norm_(parameters, max_norm, usable)
        return norm

    def loss_sum(self, batch: Batch) -> torch.Tensor:
        """The summed cross entropy of a batch, in float32."""
        on_device = {name: tensor.to(self.job.device) for name, tensor in batch.items()}
        labels = on_device.pop("labels")
        with torch.autocast(self.job.device.type, torch.bfloat16, enabled=self._autocast):
            logits = self.model(**on_device, use_cache=False).logits
        return functional.cross_entropy(
            logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum"
        )

    @torch.no_grad()
    def validate(self, batches: Any) -> float:
        """The mean loss per target token over all ranks' batches."""
        self.model.eval()
        told = torch.zeros(2, dtype=torch.float64, device=self.job.device)
        for batch in batches:
            told[0] += self.loss_sum(batch)
            told[1] += (batch["labels"] != IGNORED).sum()
        self.model.train()
        total, targets = self.job.ranks.sum(told).tolist()
        return float(total / max(1.0, targets))
