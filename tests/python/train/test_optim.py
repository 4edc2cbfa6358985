"""Optimizers by name, with the keys that each of them takes."""

from __future__ import annotations

import pytest
import torch

import float8
from float8.train.config import targets
from float8.train.config.settings import load_settings
from float8.train.errors import TrainError
from float8.train.optim import make_optimizer


def made(config, model, **keys):
    overrides = [(f"optimizer.{key}", str(value)) for key, value in keys.items()]
    return make_optimizer(load_settings(str(config), overrides), model)


@pytest.mark.parametrize("name", sorted(targets.OPTIMIZER))
def test_each_of_them_takes_a_step(config, name):
    model = torch.nn.Linear(4, 4)
    before = model.weight.detach().clone()
    optimizer = made(config, model, _target_=name)
    assert f"torch.optim.{type(optimizer).__name__}" == name
    model(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    assert not torch.equal(model.weight, before)


def test_keys_that_only_some_take(config):
    sgd = made(config, torch.nn.Linear(2, 2), _target_="torch.optim.SGD", momentum=0.9,
               nesterov="true")  # fmt: skip
    group = sgd.param_groups[0]
    assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.9, True, 0)
    adam = made(config, torch.nn.Linear(2, 2), amsgrad="true", fused="true")
    assert (adam.param_groups[0]["amsgrad"], adam.param_groups[0]["fused"]) == (True, True)
    assert adam.param_groups[0]["betas"] == (0.9, 0.95)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"momentum": "0.9"}, ("optimizer.momentum", "a key of torch.optim.AdamW")),
        ({"wieght_decay": "0.1"}, ("weight_decay",)),
        ({"_target_": "torch.optim.SGD", "betas": "[0.9, 0.9]"}, ("a key of torch.optim.SGD",)),
        ({"_target_": "torch.optim.SGD", "momentum": "fast"}, ("that make a torch.optim.SGD",)),
        ({"_target_": "torch.optim.SGD", "nesterov": "true"}, ("Nesterov momentum requires",)),
        ({"params": "[1]"}, ("optimizer.params",)),
        ({"_target_": "torch.optim.LBFGS"}, ("one of", "torch.optim.AdamW")),
    ],
)
def test_what_an_optimizer_does_not_take_is_an_error(config, keys, said):
    with pytest.raises(float8.ConfigError) as caught:
        made(config, torch.nn.Linear(2, 2), **keys)
    assert all(part in str(caught.value) for part in said)


def test_a_parameter_that_would_not_be_trained_is_an_error(config):
    class Changing(torch.nn.Module):
        """Its parameters are other objects each time, as a wrapper's that makes them anew."""

        def parameters(self, recurse=True):
            yield torch.nn.Parameter(torch.zeros(2))

    with pytest.raises(TrainError, match="would never be trained"):
        made(config, Changing())
