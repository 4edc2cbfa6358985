"""The conversion plan's rules as Python sees them; tests/cpp/plan has the rules themselves."""

import pytest

from float8 import _C
from float8.config import ConfigError, Float8LinearConfig


def test_plan_conversion():
    layers = [
        _C.LinearInfo("model.up_proj", 64, 128, bias=True),
        _C.LinearInfo("model.lm_head", 64, 256),
        _C.LinearInfo("model.lora", 64, 64, plain=False, why_not_plain="has its own forward"),
        _C.LinearInfo("model.embed", 64, 64, aliases=["model.lm_head"]),
        _C.LinearInfo("model.gate", 64, 64, excluded_by_filter_fn=True),
        _C.LinearInfo("model.odd", 40, 64),
    ]
    report = _C.plan_conversion(layers, Float8LinearConfig(), ["lm_head", "up_porj"])
    assert [layer.converted for layer in report.layers] == [True] + [False] * 5
    assert [layer.reason for layer in report.layers][:5] == [
        "converted",
        "excluded by `lm_head` in filter_fqns",
        "has its own forward",
        "excluded by `lm_head` in filter_fqns",
        "excluded by module_filter_fn",
    ]
    assert "K is no multiple of 16 (K=40, N=64)" in report.layers[5].reason
    assert (report.layers[1].fqn, report.layers[1].in_features) == ("model.lm_head", 64)
    assert report.layers[1].out_features == 256
    assert (report.converted, report.total) == (1, 6)
    assert report.warnings == [
        "filter_fqns: `up_porj` matches no linear layer; did you mean `up_proj`?"
    ]
    assert str(report).endswith("1 of 6 linear layers converted")
    assert repr(report) == "ConversionReport(1 of 6 linear layers converted)"
    assert repr(report.layers[0]) == "LayerDecision(model.up_proj: converted)"


def test_pad_inner_dim_is_the_configurations():
    layers = [_C.LinearInfo("odd", 40, 10)]
    report = _C.plan_conversion(layers, Float8LinearConfig(pad_inner_dim=True))
    assert report.layers[0].reason == "converted, padded to K=48, N=16"
    with pytest.raises(ConfigError, match=r"got none of 1"):
        _C.plan_conversion(layers, Float8LinearConfig())


def test_the_configuration_must_be_one():
    with pytest.raises(ConfigError, match=r"config must be a Float8LinearConfig, got rowwise"):
        _C.plan_conversion([_C.LinearInfo("a", 16, 16)], "rowwise")


def test_fqn_matches():
    assert _C.fqn_matches("layers.1.*", "layers.1.mlp")
    assert not _C.fqn_matches("layers.1.*", "layers.10.mlp")
