"""Which layers are converted: filters, sizes, and the report that says why."""

import logging

import pytest
from reference_linear import config_of
from torch import nn

from float8 import (
    ConfigError,
    Float8Linear,
    Float8LinearConfig,
    Fp8Config,
    convert_to_float8_training,
    plan_conversion,
)

EMULATED = config_of("tensorwise")


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = nn.Linear(32, 32)
        self.mlp = nn.Sequential(nn.Linear(32, 64), nn.Linear(64, 32))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Block(), Block()])
        self.odd = nn.Linear(32, 10)
        self.lm_head = nn.Linear(32, 48)


def converted(model):
    return [name for name, m in model.named_modules() if isinstance(m, Float8Linear)]


ALL = [f"layers.{i}.{name}" for i in (0, 1) for name in ("q_proj", "mlp.0", "mlp.1")] + ["lm_head"]


def test_filter_function_is_called_with_each_linear_layer_and_its_name():
    model, calls = Model(), []

    def filter_fn(module, fqn):
        calls.append((module, fqn))
        return "mlp" not in fqn

    convert_to_float8_training(model, config=EMULATED, module_filter_fn=filter_fn)
    assert converted(model) == [name for name in ALL if "mlp" not in name]
    modules = dict(model.named_modules())
    assert all(modules[fqn] is module for module, fqn in calls)
    assert sorted(fqn for _, fqn in calls) == sorted([*ALL, "odd"])


def test_filter_function_sees_every_name_of_a_shared_layer():
    model = nn.ModuleDict({"a": nn.Linear(32, 32), "other": nn.Linear(32, 32)})
    model["skip"] = model["a"]
    convert_to_float8_training(
        model, config=EMULATED, module_filter_fn=lambda _, fqn: fqn != "skip"
    )
    assert converted(model) == ["other"]
    config = Fp8Config(enabled=True, filter_fqns=["skip"])
    report = plan_conversion(model_of_shared_layers(), config=config).report
    assert [layer.converted for layer in report.layers] == [False, True]


def model_of_shared_layers():
    model = nn.ModuleDict({"a": nn.Linear(32, 32), "other": nn.Linear(32, 32)})
    model["skip"] = model["a"]
    return model


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        (["lm_head"], ["lm_head"]),
        (["layers.1"], [n for n in ALL if n.startswith("layers.1")]),
        (["layers.*.q_proj", "lm_head"], ["layers.0.q_proj", "layers.1.q_proj", "lm_head"]),
        (["mlp.[0]"], []),
    ],
)
def test_filter_fqns(filters, left):
    model = Model()
    config = Fp8Config(enabled=True, filter_fqns=filters, emulate=True)
    convert_to_float8_training(model, config=config)
    assert converted(model) == [name for name in ALL if name not in left]


def test_both_filters_together():
    model = Model()
    config = Fp8Config(enabled=True, filter_fqns=["lm_head"], emulate=True)
    convert_to_float8_training(
        model, config=config, module_filter_fn=lambda _, fqn: "q_proj" in fqn
    )
    assert converted(model) == ["layers.0.q_proj", "layers.1.q_proj"]


def test_report_as_a_value():
    config = Fp8Config(enabled=True, filter_fqns=["lm_head", "lm_heat"])
    plan = plan_conversion(
        Model(), config=config, module_filter_fn=lambda _, fqn: "q_proj" not in fqn
    )
    report = plan.report
    reasons = {layer.fqn: (layer.converted, layer.reason) for layer in report.layers}
    assert list(reasons) == [*ALL[:-1], "odd", "lm_head"]
    assert (report.converted, report.total) == (4, 8)
    assert reasons["layers.0.mlp.1"] == (True, "converted")
    assert reasons["layers.0.q_proj"] == (False, "excluded by module_filter_fn")
    assert reasons["lm_head"] == (False, "excluded by `lm_head` in filter_fqns")
    assert reasons["odd"][1].startswith("N is no multiple of 16 (K=32, N=10); pad_inner_dim would")
    layer = next(layer for layer in report.layers if layer.fqn == "layers.1.mlp.1")
    assert (layer.in_features, layer.out_features) == (64, 32)
    assert len(report.warnings) == 1
    assert "`lm_heat` matches no linear layer" in report.warnings[0]
    assert "lm_head" in report.warnings[0]


def test_report_as_a_table():
    report = plan_conversion(Model(), config=EMULATED).report
    lines = str(report).splitlines()
    assert lines[0].split() == ["layer", "weight", "[N,", "K]", "FP8", "reason"]
    assert lines[1].split() == ["layers.0.q_proj", "[32,", "32]", "yes", "converted"]
    assert lines[7].split()[:4] == ["odd", "[10,", "32]", "no"]
    assert lines[-1] == "7 of 8 linear layers converted"
    assert len({line.index("[") for line in lines[1:-1]}) == 1  # a straight column


def test_unmatched_filters_and_the_count_are_logged(caplog):
    config = Fp8Config(enabled=True, filter_fqns=["nothing"], emulate=True)
    with caplog.at_level(logging.INFO, logger="float8"):
        convert_to_float8_training(Model(), config=config)
    warnings = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "`nothing` matches no linear layer" in warnings[0]
    assert caplog.records[-1].message == "7 of 8 linear layers converted"


def test_no_layer_converted_lists_the_reasons():
    model = Model()
    with pytest.raises(ConfigError, match="got none of 8") as error:
        convert_to_float8_training(model, config=EMULATED, module_filter_fn=lambda *_: False)
    assert "layers.0.q_proj: excluded by module_filter_fn" in str(error.value)
    assert converted(model) == []


def test_sizes_are_reported():
    model = nn.ModuleList([nn.Linear(32, 32), nn.Linear(17, 32), nn.Linear(17, 9)])
    reasons = [d.reason for d in plan_conversion(model, config=Float8LinearConfig()).report.layers]
    assert reasons[1].startswith("K is no multiple of 16 (K=17, N=32)")
    assert reasons[2].startswith("K and N are no multiples of 16 (K=17, N=9)")


def test_small_layers_can_be_filtered():
    config = Fp8Config(enabled=True, filter_fqns=["auto_filter_small_kn"])
    with pytest.raises(ConfigError, match="auto_filter_small_kn: predicted"):
        plan_conversion(Model(), config=config)
    large = nn.Linear(8192, 8192, device="meta")
    report = plan_conversion(nn.ModuleList([large, nn.Linear(32, 32)]), config=config).report
    assert [layer.converted for layer in report.layers] == [True, False]
