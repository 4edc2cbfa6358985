"""The optimizer and the learning rate over the steps."""

from __future__ import annotations

import inspect
import math
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from float8.train.config import targets
from float8.train.config.document import Document
from float8.train.config.sections import Optimizer
from float8.train.config.validate import describe, read_section
from float8.train.errors import TrainError

if TYPE_CHECKING:
    from float8.train.config.settings import Settings

# What a file need not say; the other optimizers have torch's own.
_ADAM = {"betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.01}
_DEFAULTS = {"Adam": _ADAM, "AdamW": _ADAM}


def read_optimizer(document: Document) -> Optimizer:
    """The section `optimizer`, whose keys are those of the optimizer that it names.

    Raises:
        float8.ConfigError: an optimizer that is not known, a key that it does not take, or a value
            that it refuses.
    """
    tree = document.tree.get("optimizer")
    tree = {} if tree is None else tree
    if not isinstance(tree, dict):
        raise document.error("optimizer", "a map of keys", describe(tree))
    known = {each.name for each in fields(Optimizer)} - {"others"}
    others = {name: value for name, value in tree.items() if name not in known}
    own = {name: value for name, value in tree.items() if name in known}
    section = read_section(replace(document, tree={"optimizer": own}), "optimizer", Optimizer)
    section = replace(section, others=others)
    name = targets.look_up(document, "optimizer._target_", section._target_, targets.OPTIMIZER)
    accepted = list(inspect.signature(getattr(torch.optim, name)).parameters)[1:]
    for given in tree:
        if given not in accepted and given != "_target_":
            raise document.error(
                f"optimizer.{given}", f"a key of torch.optim.{name}", f"`{given}`", accepted
            )
    try:
        _make(section, [nn.Parameter(torch.zeros(2, 2))])
    except (TypeError, ValueError, RuntimeError) as error:
        raise document.error(
            "optimizer", f"values that make a torch.optim.{name}", str(error).splitlines()[0]
        ) from error
    return section


def state_bytes(section: Optimizer, dtype: torch.dtype) -> float:
    """What the optimizer keeps for a parameter of `dtype`, in bytes for each byte of it."""
    parameter = nn.Parameter(torch.zeros(16, 16, dtype=dtype))
    parameter.grad = torch.ones_like(parameter)
    optimizer = _make(section, [parameter])
    optimizer.step()
    state = optimizer.state[parameter].values()
    kept = [value for value in state if isinstance(value, torch.Tensor) and value.dim()]
    return sum(value.nbytes for value in kept) / parameter.nbytes


def _make(section: Optimizer, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    name = targets.OPTIMIZER[section._target_]
    given = {key: getattr(section, key) for key in ("betas", "eps", "weight_decay")}
    arguments: dict[str, Any] = {
        **_DEFAULTS.get(name, {}),
        **{key: value for key, value in given.items() if value is not None},
        **section.others,
    }
    made: torch.optim.Optimizer = getattr(torch.optim, name)(parameters, lr=section.lr, **arguments)
    return made


def make_optimizer(settings: Settings, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer named by `optimizer._target_`, over exactly the model's parameters.

    Raises:
        TrainError: the two sets of parameters differ (a wrapper replaced some).
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = _make(settings.optimizer, parameters)
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
