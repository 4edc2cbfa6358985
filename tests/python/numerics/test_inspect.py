"""The health report against the same figures in float64, and what it costs when it is off."""

import copy
import dataclasses
import math

import pytest
import reference as ref
import torch
from reference_linear import RECIPES, config_of
from torch import nn

import float8
from float8 import inspection


def figures(x: torch.Tensor, cast, power_of_two: bool):
    """amax, share of zeroed values, SQNR of all rows."""
    rowwise = cast.scaling_granularity is float8.ScalingGranularity.AXISWISE
    block = ref.ROW if rowwise else ref.TENSOR
    codes, scale_inv = ref.quantize(x, cast.target_dtype, block, power_of_two)
    values = (ref.decode(codes.view(cast.target_dtype)) * scale_inv)[:, : x.shape[1]]
    zeroed = ((values == 0) & (x != 0)).double().mean()
    return float(x.abs().max()), float(zeroed), ref.sqnr(x, values)


def spread(*shape: int) -> torch.Tensor:
    """Values over so many powers of two that some become zero."""
    return torch.randn(shape) * torch.exp2(torch.randn(shape) * 4)


def layer(name: str = "tensorwise", **options) -> float8.Float8Linear:
    torch.manual_seed(0)
    return float8.Float8Linear(48, 32, config=config_of(name), **options)


@pytest.mark.parametrize("name", RECIPES)
def test_rows_are_the_figures_of_float64(name):
    module = layer(name)
    x, gradient = spread(5, 7, 48), spread(5, 7, 32) * 1e-5
    with float8.inspect(module, sample_rows=64) as report:
        module(x).backward(gradient)
    c = module.config
    expected = {
        "input": (x.flatten(0, 1), c.cast_config_input),
        "weight": (module.weight.detach(), c.cast_config_weight),
        "grad_output": (gradient.flatten(0, 1), c.cast_config_grad_output),
    }
    assert [row.operand for row in report.rows] == list(expected)
    zeroed_somewhere = 0.0
    for row in report.rows:
        values, cast = expected[row.operand]
        amax, zeroed, sqnr = figures(values, cast, c.round_scales_to_power_of_2)
        assert row.layer == ""
        assert row.amax == amax
        assert row.saturated == 0
        assert row.underflowed == pytest.approx(zeroed, rel=1e-12)
        assert row.sqnr == pytest.approx(sqnr, abs=1e-5)  # scale_inv is a rounded float32 there
        zeroed_somewhere += zeroed
    assert zeroed_somewhere > 0


def test_a_sample_of_rows_is_close_and_its_amax_exact():
    module = layer()
    x = torch.randn(4096, 48)
    x[4095, 7] = 100.0  # in no sampled row
    with float8.inspect(module, sample_rows=64) as report, torch.no_grad():
        module(x)
    row = report.rows[0]
    assert row.amax == 100.0
    assert row.sqnr == pytest.approx(figures(x, module.config.cast_config_input, False)[2], abs=1)
    assert report._measured["", "input"].values == 64 * 48


def test_passes_add_up():
    module = layer()
    small, large = torch.randn(64, 48), 3 * torch.randn(64, 48)
    reports = []
    for batches in ((small,), (large,), (small, large)):
        with float8.inspect(module, sample_rows=64) as report:
            for batch in batches:
                module(batch).sum().backward()
        reports.append(report)
    first, second, both = (report._measured["", "input"] for report in reports)
    torch.testing.assert_close(both.errors, first.errors + second.errors, rtol=1e-14, atol=0)
    assert both.values == 2 * 64 * 48
    assert reports[2].rows[0].amax == float(large.abs().max())


def test_an_input_that_layers_share_is_measured_once(monkeypatch):
    calls = []
    cast_health = inspection._cast_health
    monkeypatch.setattr(
        inspection, "_cast_health", lambda x, *rest: calls.append(x.shape) or cast_health(x, *rest)
    )
    model = nn.ModuleDict({name: layer() for name in ("q", "k", "v")})
    x = torch.randn(9, 48)
    with float8.inspect(model) as report, torch.no_grad():
        for name in ("q", "k"):
            model[name](x)
        x *= 2  # the same tensor with other values
        model["v"](x)
    assert calls.count((9, 48)) == 2
    rows = {row.layer: row for row in report.rows if row.operand == "input"}
    assert rows["q"].amax == rows["k"].amax
    assert rows["v"].amax == 2 * rows["q"].amax


def test_an_input_is_measured_for_each_way_in_which_it_is_cast():
    model = nn.ModuleDict({name: layer(name) for name in RECIPES})
    x = spread(9, 48)
    with float8.inspect(model) as together, torch.no_grad():
        for name in RECIPES:
            model[name](x)
    for name in RECIPES:
        with float8.inspect(model[name]) as alone, torch.no_grad():
            model[name](x)
        row = next(r for r in together.rows if (r.layer, r.operand) == (name, "input"))
        assert row == dataclasses.replace(alone.rows[0], layer=name)
    assert len({row.sqnr for row in together.rows if row.operand == "input"}) == 2


def test_an_input_given_by_its_name_is_measured():
    module = layer()
    x = torch.randn(9, 48)
    with float8.inspect(module) as report:
        module(input=x).sum().backward()
    with float8.inspect(module) as expected:
        module(x).sum().backward()
    assert report.rows == expected.rows
    assert len(report.rows) == 3


def test_inference_mode_is_measured():
    module = layer()
    with float8.inspect(module) as report, torch.inference_mode():
        module(torch.randn(9, 48))
    assert [row.operand for row in report.rows] == ["input", "weight"]


def test_nothing_is_left_behind_and_results_are_the_same():
    model = nn.Sequential(nn.Linear(48, 32), nn.GELU(), nn.Linear(32, 16))
    float8.convert_to_float8_training(model, config=config_of("rowwise"))
    other, x = copy.deepcopy(model), torch.randn(9, 48)
    with float8.inspect(model) as report:
        model(x).sum().backward()
    other(x).sum().backward()
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine.grad, theirs.grad)
    assert all(not module._forward_hooks for module in model.modules())
    seen = len(report.rows)
    model(x).sum().backward()
    assert len(report.rows) == seen == 6
    assert model[0](x).grad_fn.name() == other[0](x).grad_fn.name()


def test_hooks_go_after_an_error_too():
    module = layer()
    with pytest.raises(RuntimeError, match="same K"), float8.inspect(module):
        module(torch.randn(3, 47))
    assert not module._forward_hooks


@pytest.mark.filterwarnings("ignore:In CPU autocast")
def test_autocast_is_measured_as_it_is_cast():
    module = layer("rowwise")
    x = torch.randn(9, 48)
    with float8.inspect(module, sample_rows=64) as report, torch.autocast("cpu", torch.bfloat16):
        module(x).sum().backward()
    c = module.config
    rows = {row.operand: row for row in report.rows}
    assert rows["input"].amax == float(x.bfloat16().abs().max())
    assert rows["weight"].amax == float(module.weight.detach().abs().max())
    expected = figures(x.bfloat16(), c.cast_config_input, True)[2]
    assert rows["input"].sqnr == pytest.approx(expected, abs=1e-5)


def test_a_compiled_model_is_measured_in_eager_mode():
    torch.compiler.reset()
    model = nn.Sequential(nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 16))
    float8.convert_to_float8_training(model, config=config_of("tensorwise"))
    compiled, x = torch.compile(model, backend="eager"), torch.randn(9, 48)
    compiled(x).sum().backward()
    with float8.inspect(compiled) as report:
        compiled(x).sum().backward()
    with float8.inspect(model) as expected:
        model(x).sum().backward()
    assert report.rows == expected.rows
    assert len(report.rows) == 6
    assert [row.layer for row in report.rows[:2]] == ["0", "0"]


def test_what_is_not_cast_is_not_in_the_report():
    module = layer("output in high precision")
    with float8.inspect(module) as report:
        module(torch.randn(3, 48)).sum().backward()
    assert [row.operand for row in report.rows] == ["grad_output"]
    with float8.inspect(module) as report:
        pass
    assert report.rows == []
    assert "nothing ran" in report.summary()


def test_an_empty_operand_is_not_in_the_report():
    module = layer()
    with float8.inspect(module) as report:
        module(torch.randn(0, 48)).sum().backward()
    assert [row.operand for row in report.rows] == ["weight"]


def test_the_report_prints_and_names_the_worst():
    model = nn.ModuleDict({"up": layer(), "down": layer()})
    x = torch.randn(8, 48)
    x[3, 3] = torch.inf
    with float8.inspect(model) as report:
        model["up"](torch.randn(8, 48)).sum().backward()
        model["down"](x)
    worst = report.worst["input"]
    assert worst.layer == "down"
    assert math.isnan(worst.sqnr)
    assert worst.amax == math.inf
    lines = str(report).splitlines()
    assert lines[0].split()[:3] == ["layer", "operand", "amax"]
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 6
    assert report.summary().startswith("FP8 health, worst of 2 layers: input nan dB, ")


def test_a_model_without_fp8_is_an_error():
    with (
        pytest.raises(ValueError, match="convert_to_float8_training first"),
        float8.inspect(nn.Linear(16, 16)),
    ):
        pass
    with (
        pytest.raises(ValueError, match="sample_rows must be positive, got 0"),
        float8.inspect(layer(), sample_rows=0),
    ):
        pass
