"""One run: the steps of one model, from its first or from a checkpoint, to the last."""

from __future__ import annotations

import contextlib
import math
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from float8.cached_weights import cached_weights
from float8.float8_linear import Float8Linear
from float8.inspection import HealthReport, inspect
from float8.train.checkpoint import list_checkpoints, load_checkpoint, save_checkpoint, step_of
from float8.train.data import endless, make_loader, validation_batches
from float8.train.errors import RunStoppedError, TrainError
from float8.train.job import Job, check_same_settings
from float8.train.metrics import MetricsLog
from float8.train.optim import learning_rate, make_optimizer
from float8.train.packing import IGNORED, Batch, PackedRows
from float8.train.settings import as_plain


class Run:
    """A model and all of the state that one step changes.

    Args:
        job: what is trained on, where, and for how long.
        name: "bf16" or "fp8"; names the folders of its checkpoints and metrics.
        model: converted and compiled already.
        resume: start from the newest checkpoint of this name, if there is one.

    Raises:
        TrainError: the checkpoint cannot be read, or belongs to other settings.
    """

    def __init__(self, job: Job, name: str, model: Any, resume: bool) -> None:
        self.job, self.name, self.model = job, name, model
        self.optimizer = make_optimizer(job.settings, model)
        self.loader = make_loader(job.settings, job.rows)
        self.folder = job.settings.checkpoint_dir / name
        # BF16 has no casts to report on.
        converted = any(isinstance(module, Float8Linear) for module in model.modules())
        self.health_every = job.settings.logging.health_every if converted else None
        self.step = 0
        checkpoints = list_checkpoints(self.folder) if resume else []
        if checkpoints:
            self._load(checkpoints[-1])

    def train(self) -> None:
        """Takes the steps that are left, with metrics, validation and checkpoints on the way.

        Raises:
            RunStoppedError: Ctrl-C; the text names the checkpoint.
            TrainError: the loss is not finite any more.
            OSError: a checkpoint or the metrics cannot be written.
        """
        job, scheduler = self.job, self.job.settings.step_scheduler
        batches = endless(self.loader)
        with (
            self._cached_weights(),
            MetricsLog(job.settings.output_dir, self.name, self.step) as log,
            job.view.progress(self.name, self.step, job.total_steps) as progress,
        ):
            while self.step < job.total_steps:
                values = self._take_step(batches)
                log.add(self.step, **values)
                progress.show(self.step, values["loss"], values["tokens_per_second"])
                last = self.step == job.total_steps
                if job.validation_rows and (last or _due(scheduler.val_every_steps, self.step)):
                    log.add(self.step, validation_loss=self._validate(job.validation_rows))
                if last or job.stop.requested or _due(scheduler.ckpt_every_steps, self.step):
                    saved = self._save()
                if job.stop.requested and not last:
                    raise RunStoppedError(self._where_to_go_on(saved))

    def _cached_weights(self) -> contextlib.AbstractContextManager[None]:
        """Several microbatches read the same weights: their FP8 copies are made once."""
        scheduler = self.job.settings.step_scheduler
        if scheduler.global_batch_size > scheduler.local_batch_size:
            return cached_weights(self.model)
        return contextlib.nullcontext()

    def _take_step(self, batches: Any) -> dict[str, float]:
        """One optimizer step over a global batch; returns what is worth recording."""
        settings = self.job.settings
        scheduler = settings.step_scheduler
        started = time.perf_counter()
        micro_steps = scheduler.global_batch_size // scheduler.local_batch_size
        batch = list(islice(batches, micro_steps))
        # The mean is over all target tokens of the global batch: a mean of the local batches'
        # means would weigh tokens by how full their batch happens to be.
        targets = sum(int((part["labels"] != IGNORED).sum()) for part in batch)
        total = torch.zeros((), device=self.job.device)
        with self._inspected() as health:
            for part in batch:
                loss = self._loss_sum(part) / max(1, targets)
                loss.backward()  # type: ignore[no-untyped-call]
                total += loss.detach()
        max_norm = settings.clip_grad_norm.max_norm
        norm = torch.nn.utils.clip_grad_norm_(
            self.model.parameters(), math.inf if max_norm is None else max_norm
        )
        loss_value, norm_value = float(total), float(norm)
        self.step += 1
        if not (math.isfinite(loss_value) and math.isfinite(norm_value)):
            raise TrainError(
                f"step {self.step} of the {self.name} run: loss {loss_value}, gradient norm "
                f"{norm_value}; try a lower optimizer.lr, or a clip_grad_norm.max_norm"
            )
        rate = learning_rate(settings, self.step, self.job.total_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        tokens = sum(part["input_ids"].numel() for part in batch)
        seconds = time.perf_counter() - started
        values = {
            "loss": loss_value,
            "lr": rate,
            "grad_norm": norm_value,
            "tokens": tokens,
            "tokens_per_second": tokens / seconds,
        }
        if health is not None:
            self.job.view.line(f"{self.name:4}  step {self.step}  {health.summary()}")
            values |= _health_values(health)
        return values

    def _inspected(self) -> contextlib.AbstractContextManager[HealthReport | None]:
        """The health report of the step that begins, where one is due."""
        if _due(self.health_every, self.step + 1):
            return inspect(self.model)
        return contextlib.nullcontext()

    def _loss_sum(self, batch: Batch) -> torch.Tensor:
        """The summed cross entropy of a batch, in float32."""
        on_device = {name: tensor.to(self.job.device) for name, tensor in batch.items()}
        labels = on_device.pop("labels")
        # float32 weights are master weights: the products are BF16's all the same, as under
        # FSDP2's mixed precision.
        master = self.job.settings.model.torch_dtype == "float32"
        mixed = torch.autocast(self.job.device.type, torch.bfloat16, enabled=master)
        with mixed:
            logits = self.model(**on_device, use_cache=False).logits
        return functional.cross_entropy(
            logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum"
        )

    def _validate(self, rows: PackedRows) -> float:
        """The mean loss per target token over all validation rows."""
        self.model.eval()
        total, targets = 0.0, 0
        with torch.no_grad():
            for batch in validation_batches(self.job.settings, rows):
                total += float(self._loss_sum(batch))
                targets += int((batch["labels"] != IGNORED).sum())
        self.model.train()
        return total / max(1, targets)

    def _save(self) -> Path | None:
        options = self.job.settings.checkpoint
        if not options.enabled:
            return None
        trainer = {
            "step": self.step,
            "settings": as_plain(self.job.settings),
            "loader": self.loader.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "trainer": trainer,
        }
        return save_checkpoint(self.folder, self.step, state, options.keep_last)

    def _load(self, checkpoint: Path) -> None:
        state = load_checkpoint(checkpoint, self.job.device)
        check_same_settings(checkpoint, state["trainer"]["settings"], self.job.settings)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.loader.load_state_dict(state["trainer"]["loader"])
        torch.set_rng_state(state["trainer"]["random"])
        with contextlib.suppress(RuntimeError):  # another number of GPUs than before
            torch.cuda.set_rng_state_all(state["trainer"]["random_cuda"])
        self.step = step_of(checkpoint)

    def _where_to_go_on(self, saved: Path | None) -> str:
        done = f"stopped after step {self.step} of {self.job.total_steps} of the {self.name} run"
        if saved is None:
            return f"{done}; no checkpoint, since checkpoint.enabled is false"
        return f"{done}; checkpoint {saved}; the same command with --resume goes on from there"


def _health_values(report: HealthReport) -> dict[str, float]:
    """The worst of each operand, for the metrics; JSON has no NaN and no infinity."""
    values = {}
    for operand, worst in report.worst.items():
        if math.isfinite(worst.sqnr):
            values[f"fp8_sqnr_{operand}"] = worst.sqnr
            values[f"fp8_to_zero_{operand}"] = worst.underflowed
    return values


def _due(every: int | None, step: int) -> bool:
    return every is not None and step % every == 0
