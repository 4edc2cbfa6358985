"""The optimizer and the learning rate over the steps."""

from __future__ import annotations

import math

import torch
from torch import nn

from float8.train import targets
from float8.train.errors import TrainError
from float8.train.settings import Settings


def make_optimizer(settings: Settings, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer named by `optimizer._target_`, over exactly the model's parameters.

    Raises:
        TrainError: the two sets of parameters differ (a wrapper replaced some).
    """
    options = settings.optimizer
    kind = getattr(torch.optim, targets.OPTIMIZER[options._target_])
    optimizer: torch.optim.Optimizer = kind(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=options.lr,
        betas=options.betas,
        eps=options.eps,
        weight_decay=options.weight_decay,
    )
    trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    wanted = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    if trained != wanted:
        raise TrainError(
            f"the optimizer has {len(trained)} parameters, the model {len(wanted)}; "
            "some would never be trained"
        )
    return optimizer


def learning_rate(settings: Settings, step: int, total_steps: int) -> float:
    """The learning rate of `step` (from 1): a linear warm-up, then the chosen decay to min_lr.

    It depends on the step alone, so that nothing of it needs to be in a checkpoint.
    """
    schedule, peak = settings.lr_scheduler, settings.optimizer.lr
    warmup = schedule.lr_warmup_steps
    if step <= warmup:
        return peak * step / warmup
    if schedule.lr_decay_style == "constant":
        return peak
    done = min(1.0, (step - warmup) / max(1, total_steps - warmup))
    share = 1 - done if schedule.lr_decay_style == "linear" else (1 + math.cos(math.pi * done)) / 2
    return schedule.min_lr + (peak - schedule.min_lr) * share
