"""A conversion that fails leaves the model as it was; a plan alone changes nothing."""

import pytest
from reference_linear import config_of
from torch import nn

from float8 import (
    ConfigError,
    Float8Linear,
    Fp8Config,
    convert_to_float8_training,
    plan_conversion,
)

EMULATED = config_of("tensorwise")


def mlp():
    return nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 16, bias=False))


def types(model):
    return [type(m) for m in model.modules()]


@pytest.mark.parametrize("model", [nn.Sequential(nn.ReLU()), nn.Linear(17, 16)], ids=str)
def test_nothing_to_convert_is_an_error(model):
    before = types(model)
    with pytest.raises(ConfigError, match="at least one linear layer must be converted"):
        convert_to_float8_training(model, config=EMULATED)
    assert types(model) == before


def test_a_plan_changes_nothing_until_it_is_applied():
    model = mlp()
    plan = plan_conversion(model, config=EMULATED)
    assert Float8Linear not in types(model)
    assert plan.apply() is model
    assert type(model[0]) is Float8Linear


def test_a_filter_that_raises_changes_nothing():
    model = mlp()

    def filter_fn(_, name):
        if name == "2":
            raise KeyError(name)
        return True

    with pytest.raises(KeyError):
        convert_to_float8_training(model, config=EMULATED, module_filter_fn=filter_fn)
    assert Float8Linear not in types(model)


@pytest.mark.parametrize("config", [Fp8Config(enabled=True, filter_fqns=["x"]), "rowwise", 3])
def test_a_failure_after_the_plan_changes_nothing(config, monkeypatch):
    model = mlp()
    fail = lambda _: (_ for _ in ()).throw(ConfigError("late"))  # noqa: E731
    monkeypatch.setattr(Float8Linear, "state_of", staticmethod(fail))
    with pytest.raises((ConfigError, TypeError, AttributeError)):
        convert_to_float8_training(model, config=config)
    assert Float8Linear not in types(model)
