"""The health of a converted model: what the casts to FP8 lose, layer by layer."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn

from float8.config import CastConfig, Float8LinearConfig, ScalingGranularity, ScalingType
from float8.float8_linear import Float8Linear
from float8.fsdp.parameters import has_values

__all__ = ["HealthReport", "OperandHealth", "inspect"]

_OPERANDS = ("input", "weight", "grad_output")

_cast_health = torch.ops.float8.cast_health.default


@dataclass(frozen=True)
class OperandHealth:
    """What the cast of one operand of one layer loses.

    Args:
        layer: the layer's name in the model.
        operand: "input", "weight" or "grad_output".
        amax: the largest magnitude, of all values.
        saturated: the share of the sampled values that the format's end cuts off. With scales made
            from the values themselves, as here, it is 0.
        underflowed: the share of the sampled values that become zero and were not.
        sqnr: signal to quantization noise in dB, over the sampled values. E4M3 gives some 31.5,
            E5M2 25.5, on normally distributed values. NaN where a value is not finite.
    """

    layer: str
    operand: str
    amax: float
    saturated: float
    underflowed: float
    sqnr: float


@dataclass(frozen=True)
class _Measured:
    """One operand of one layer so far, on its device: nothing here waits for a GPU."""

    amax: torch.Tensor
    errors: torch.Tensor
    values: int

    def __add__(self, other: _Measured) -> _Measured:
        return _Measured(
            torch.maximum(self.amax, other.amax),
            self.errors + other.errors,
            self.values + other.values,
        )


@dataclass
class HealthReport:
    """What `inspect` saw; prints as a table."""

    layers: int
    _measured: dict[tuple[str, str], _Measured] = field(default_factory=dict)

    @property
    def rows(self) -> list[OperandHealth]:
        """A row for each layer and operand that was computed in FP8 (this waits for the device)."""
        if not self._measured:
            return []
        measured = self._measured.values()
        # One copy to the host for all of them; cat makes the amax float64, as the errors are.
        figures = torch.cat([t for m in measured for t in (m.amax.flatten(), m.errors)]).tolist()
        return [
            _row(layer, operand, m.values, *figures[5 * i : 5 * i + 5])
            for i, ((layer, operand), m) in enumerate(self._measured.items())
        ]

    @property
    def worst(self) -> dict[str, OperandHealth]:
        """For each operand the row with the lowest SQNR, NaN before all."""
        rows = self.rows
        of = {name: [row for row in rows if row.operand == name] for name in _OPERANDS}
        return {name: min(own, key=_rank) for name, own in of.items() if own}

    def summary(self) -> str:
        """One line: the worst layer for each operand."""
        parts = [
            f"{name} {row.sqnr:.1f} dB, {row.underflowed:.2%} to zero ({row.layer})"
            for name, row in self.worst.items()
        ]
        return f"FP8 health, worst of {self.layers} layers: {'; '.join(parts) or 'nothing ran'}"

    def __str__(self) -> str:
        rows = self.rows
        width = max([len("layer"), *(len(row.layer) for row in rows)])
        head = f"{'layer':{width}}  {'operand':11}  {'amax':>9}  saturated    zeroed  SQNR, dB"
        lines = [
            f"{row.layer:{width}}  {row.operand:11}  {row.amax:9.3g}  {row.saturated:9.2%}"
            f"  {row.underflowed:8.2%}  {row.sqnr:8.1f}"
            for row in rows
        ]
        return "\n".join([head, *lines])


@contextmanager
def inspect(model: nn.Module, *, sample_rows: int = 16) -> Iterator[HealthReport]:
    """Measures what the casts to FP8 lose in the forward and backward passes inside the block.

        with float8.inspect(model) as report:
            model(batch).loss.backward()
        print(report)

    Each operand is measured as its first product casts it: the input and the weight as in output,
    the gradient as in the input's gradient. Its amax is that of all values, the rest comes from at
    most `sample_rows` rows, evenly spaced, so that it costs little. Several passes inside one block
    add up. Outside of the block nothing is left behind: no hook, no copy, no cost.

    A weight that FSDP2 has sharded, or gathered as FP8, is left out: its values are elsewhere.

    A compiled model runs in eager mode inside the block (torch.compiler.set_stance), which computes
    the same casts; the compiled code is not thrown away.

    Args:
        model: a model with Float8Linear layers.
        sample_rows: how many rows of each operand are looked at.

    Yields:
        The report; read it after the block.

    Raises:
        ValueError: the model has no Float8Linear, or sample_rows is not positive.
    """
    if sample_rows < 1:
        raise ValueError(f"[inspect] sample_rows must be positive, got {sample_rows}")
    layers = {
        name.replace("_orig_mod.", ""): module  # the prefix of torch.compile's wrapper
        for name, module in model.named_modules()
        if isinstance(module, Float8Linear)
    }
    if not layers:
        raise ValueError(
            "[inspect] the model must have a Float8Linear layer, got none; "
            "call convert_to_float8_training first"
        )
    report = HealthReport(len(layers))
    meter = _Meter(report, sample_rows)
    with ExitStack() as stack:
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        for name, layer in layers.items():
            hook = _forward_hook(meter, name, layer.config)
            handle = layer.register_forward_hook(hook, with_kwargs=True)
            stack.callback(handle.remove)
        yield report


class _Cast(NamedTuple):
    """How an operand is cast, as the operator takes it."""

    dtype: torch.dtype
    rowwise: bool
    power_of_two: bool


def _cast_of(cast: CastConfig, power_of_two: bool) -> _Cast | None:
    """None where the operand stays in high precision."""
    if cast.scaling_type is ScalingType.DISABLED:
        return None
    assert cast.target_dtype is not None
    rowwise = cast.scaling_granularity is ScalingGranularity.AXISWISE
    return _Cast(cast.target_dtype, rowwise, power_of_two)


class _Meter:
    """Measures operands for one report."""

    def __init__(self, report: HealthReport, sample_rows: int) -> None:
        self._measured, self._sample_rows = report._measured, sample_rows
        # The last input: the next layer may read the same one (q, k and v; gate and up). Not kept
        # alive; its version counts writes to it.
        self._last: tuple[weakref.ref[torch.Tensor], int, _Cast] | None = None
        self._last_measured: _Measured | None = None

    def add_input(self, name: str, x: torch.Tensor, cast: _Cast) -> None:
        if x.is_inference():  # it counts no writes
            self.add((name, "input"), x, cast)
            return
        last, version = self._last, x._version
        if last is None or last[0]() is not x or last[1] != version or last[2] != cast:
            self._last = (weakref.ref(x), version, cast)
            self._last_measured = self._measure(x, cast)
        self._add((name, "input"), self._last_measured)

    def add(self, key: tuple[str, str], x: torch.Tensor, cast: _Cast) -> None:
        self._add(key, self._measure(x, cast))

    def _add(self, key: tuple[str, str], new: _Measured | None) -> None:
        if new is not None:
            old = self._measured.get(key)
            self._measured[key] = new if old is None else old + new

    def _measure(self, x: torch.Tensor, cast: _Cast) -> _Measured | None:
        if x.numel() == 0:
            return None
        matrix = x if x.dim() == 2 else x.detach().reshape(-1, x.shape[-1])
        rows, columns = matrix.shape
        sampled = len(range(0, rows, -(-rows // self._sample_rows)))
        amax, errors = _cast_health(matrix, *cast, self._sample_rows)
        return _Measured(amax, errors, sampled * columns)


def _forward_hook(
    meter: _Meter, name: str, config: Float8LinearConfig
) -> Callable[[nn.Module, tuple[torch.Tensor, ...], dict[str, Any], torch.Tensor], None]:
    of_input, of_weight, of_gradient = (
        _cast_of(cast, config.round_scales_to_power_of_2)
        for cast in (
            config.cast_config_input,
            config.cast_config_weight,
            config.cast_config_grad_output,
        )
    )

    def hook(
        layer: nn.Module,
        inputs: tuple[torch.Tensor, ...],
        keywords: dict[str, Any],
        output: torch.Tensor,
    ) -> None:
        assert isinstance(layer, Float8Linear)
        weight = layer.weight
        if of_input is not None:
            x = inputs[0] if inputs else keywords["input"]
            # The output has the dtype of the input as it was cast: autocast's, where that is on.
            meter.add_input(name, x.to(output.dtype), of_input)
        if of_weight is not None and has_values(weight):
            meter.add((name, "weight"), weight, of_weight)
        if of_gradient is not None and output.requires_grad:
            key, cast = (name, "grad_output"), of_gradient
            output.register_hook(lambda gradient: meter.add(key, gradient, cast))  # type: ignore[no-untyped-call]

    return hook


def _row(
    layer: str,
    operand: str,
    values: int,
    amax: float,
    saturated: float,
    underflowed: float,
    squares: float,
    squared_errors: float,
) -> OperandHealth:
    if math.isnan(squares) or math.isnan(squared_errors):
        sqnr = math.nan
    elif squared_errors == 0:
        sqnr = math.inf
    else:
        sqnr = 10 * math.log10(squares / squared_errors)
    return OperandHealth(layer, operand, amax, saturated / values, underflowed / values, sqnr)


def _rank(row: OperandHealth) -> float:
    return -math.inf if math.isnan(row.sqnr) else row.sqnr
