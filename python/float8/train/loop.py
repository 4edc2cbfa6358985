"""One run: the steps of one model, from its first or from a checkpoint, to the last."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import float8
from float8.cached_weights import cached_weights
from float8.float8_linear import Float8Linear
from float8.train.checkpoint.saver import (
    Saver,
    list_checkpoints,
    load_local,
    load_state,
    load_trainer,
    random_state,
    restore_random,
    step_of,
)
from float8.train.checkpoint.state import make_optimizer_state, model_state, optimizer_state
from float8.train.config.settings import as_plain
from float8.train.console import StepView
from float8.train.data.loader import make_loader, validation_batches
from float8.train.data.packing import Batch
from float8.train.errors import RunStoppedError, TrainError
from float8.train.failures import explained_memory, where_not_finite
from float8.train.job import Job, check_same_settings
from float8.train.metrics import MetricsLog
from float8.train.optim import learning_rate, make_optimizer
from float8.train.processes.shard import sharded_modules
from float8.train.report import Meter, health_values
from float8.train.step import Computation, Gradients

_SECONDS_TO_SETTLE = 20.0  # the agent ends what is left of a run within a minute


class Run:
    """A model and all of the state that one step changes.

    Args:
        job: what is trained on, where, and for how long.
        name: "bf16" or "fp8"; names the folders of its checkpoints and metrics.
        model: converted, compiled and sharded already.
        resume: start from the newest checkpoint of this name, if there is one.

    Raises:
        TrainError: the checkpoint cannot be read, or belongs to other settings.
    """

    def __init__(self, job: Job, name: str, model: Any, resume: bool) -> None:
        self.job, self.name, self.model = job, name, model
        self.optimizer = make_optimizer(job.settings, model)
        self.folder = job.settings.checkpoint_dir / name
        options = job.settings.checkpoint
        self.saver = Saver(self.folder, options.model_save_format, options.keep_last, job.ranks)
        # BF16 has no casts to report on.
        converted = any(isinstance(module, Float8Linear) for module in model.modules())
        wanted = job.settings.fp8.precompute_float8_dynamic_scale_for_fsdp
        self._precomputes = converted and wanted and bool(sharded_modules(model))
        self.health_every = job.settings.logging.health_every if converted else None
        self.step = 0
        newest = list_checkpoints(self.folder)[-1:] if resume and job.ranks.main else []
        for checkpoint in job.ranks.agree(newest):
            self._load(checkpoint)
        self.loader = make_loader(job.settings, job.rows, job.ranks, self.step)
        self.computation = Computation(job, model)
        self.meter = Meter(job, model)

    def train(self) -> None:
        """Takes the steps that are left, with metrics, validation and checkpoints on the way.

        Raises:
            RunStoppedError: Ctrl-C; the text names the checkpoint.
            TrainError: the loss is not finite any more.
            OSError: a checkpoint or the metrics cannot be written.
        """
        job, scheduler = self.job, self.job.settings.step_scheduler
        batches = iter(self.loader)
        with (
            self._settled(),
            explained_memory(job.settings, self.model, self.optimizer),
            self._cached_weights(),
            MetricsLog(job, self.name, self.step) as log,
            job.view.progress(self.name, self.step, job.total_steps) as progress,
        ):
            while self.step < job.total_steps:
                stop = self.advance(batches, log, progress)
                self.saver.check()
                last = self.step == job.total_steps
                if job.validation_rows and (last or due(scheduler.val_every_steps, self.step)):
                    self._validate(log)
                if last or stop or due(scheduler.ckpt_every_steps, self.step):
                    saved = self._save()
                if stop and not last:
                    self.saver.wait()
                    raise RunStoppedError(self._where_to_go_on(saved))
            self.saver.wait()

    @contextlib.contextmanager
    def _settled(self) -> Iterator[None]:
        """Where an error ends the run, the checkpoint that is being written is not lost with it."""
        try:
            yield
        except Exception:
            # The other ranks write their part of it too, if they are still there.
            self.saver.settle(None if self.job.ranks.world == 1 else _SECONDS_TO_SETTLE)
            raise

    def advance(self, batches: Iterator[Batch], log: MetricsLog, progress: StepView) -> bool:
        """Takes one step and reports on it; returns whether some rank was asked to stop."""
        values, stop = self._take_step(batches)
        log.add(self.step, **values)
        if "loss" in values:
            progress.show(self.step, values)
        return stop

    def _cached_weights(self) -> contextlib.AbstractContextManager[None]:
        """Several microbatches read the same weights: their FP8 copies are made once.

        Not of sharded weights: those are gathered into other memory each time.
        """
        scheduler, ranks = self.job.settings.step_scheduler, self.job.ranks
        several = scheduler.global_batch_size > scheduler.local_batch_size * ranks.world
        if several and not sharded_modules(self.model):
            return cached_weights(self.model)
        return contextlib.nullcontext()

    def _take_step(self, batches: Any) -> tuple[dict[str, float], bool]:
        """One optimizer step over a global batch.

        Returns:
            What is worth recording, and whether a rank was asked to stop.
        """
        job, scheduler = self.job, self.job.settings.step_scheduler
        started = time.perf_counter()
        share = scheduler.global_batch_size // job.ranks.world
        batch = list(islice(batches, share // scheduler.local_batch_size))
        found = self.computation.gradients(batch, due(self.health_every, self.step + 1))
        self.step += 1
        rate = learning_rate(job.settings, self.step, job.total_steps)
        if not found.finite:
            self._leave_out(found, batch)
            return {"skipped": 1, "lr": rate, "tokens": found.tokens}, found.stop
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self._precomputes:
            float8.precompute_float8_dynamic_scale_for_fsdp(self.model)
        seconds = time.perf_counter() - started
        values = {"loss": found.loss, "lr": rate, "grad_norm": found.norm, "tokens": found.tokens}
        values |= self.meter.values(found.tokens, seconds)
        if found.health is not None:
            job.view.line(f"{self.name:4}  step {self.step}  {found.health.summary()}")
            values |= health_values(found.health)
        return values, found.stop

    def _leave_out(self, found: Gradients, batch: list[Batch]) -> None:
        """Takes no step with gradients that are not finite, or, as a rule, stops."""
        what = (
            f"step {self.step} of the {self.name} run: loss {found.loss}, gradient norm "
            f"{found.norm}; {where_not_finite(self.computation, batch, self.job.ranks)}"
        )
        if not self.job.skip_nan:
            raise TrainError(
                f"{what}; try a lower optimizer.lr, or a clip_grad_norm.max_norm; --on-nan "
                "continue leaves such steps out"
            )
        self.job.view.line(f"left out {what}")
        self.optimizer.zero_grad(set_to_none=True)

    def _validate(self, log: MetricsLog) -> None:
        rows = self.job.validation_rows
        assert rows is not None
        batches = validation_batches(self.job.settings, rows, self.job.ranks)
        loss = self.computation.validate(batches)
        log.add(self.step, validation_loss=loss)
        self.job.view.line(f"{self.name:4}  step {self.step}  validation loss {loss:.4f}")

    def _save(self) -> Path | None:
        if not self.job.settings.checkpoint.enabled:
            return None
        return self.saver.save(
            self.step,
            model_state(self.model),
            optimizer_state(self.model, self.optimizer),
            random_state(self.job.device),
            {"step": self.step, "settings": as_plain(self.job.settings)},
        )

    def _load(self, checkpoint: Path) -> None:
        ranks = self.job.ranks
        trainer = load_trainer(checkpoint)
        check_same_settings(checkpoint, trainer["settings"], self.job.settings)
        make_optimizer_state(self.optimizer)
        load_state(
            checkpoint,
            model_state(self.model),
            optimizer_state(self.model, self.optimizer),
            ranks,
        )
        if trainer["world"] == ranks.world:
            restore_random(load_local(checkpoint, ranks.rank), self.job.device)
        else:
            self.job.view.line(
                f"{self.name}: {checkpoint} is of {trainer['world']} processes, this run of "
                f"{ranks.world}: random numbers (dropout's) begin anew"
            )
        if self._precomputes:
            float8.precompute_float8_dynamic_scale_for_fsdp(self.model)
        self.step = step_of(checkpoint)

    def _where_to_go_on(self, saved: Path | None) -> str:
        done = f"stopped after step {self.step} of {self.job.total_steps} of the {self.name} run"
        if saved is None:
            return f"{done}; no checkpoint, since checkpoint.enabled is false"
        return f"{done}; checkpoint {saved}; the same command with --resume goes on from there"


def due(every: int | None, step: int) -> bool:
    """Whether something that happens every so many steps happens after this one."""
    return every is not None and step % every == 0
