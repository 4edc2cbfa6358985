"""What a layer computes in FP8, under torchao's names, and what a configuration file says.

The names, fields and defaults of the first half are those of `torchao.float8.config`. The rules
that connect them, the recipes and the YAML reader are C++'s (`float8._C`), the same for both
languages; what is here holds plain Python values, which torch.compile can see through.
"""

from __future__ import annotations

import dataclasses
import enum
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from float8 import _C
from float8._C import ConfigError

__all__ = [
    "CastConfig",
    "CompileConfig",
    "Config",
    "ConfigError",
    "Float8GemmConfig",
    "Float8LinearConfig",
    "Float8LinearRecipeName",
    "Fp8Config",
    "ScalingGranularity",
    "ScalingType",
    "dump",
    "e4m3_dtype",
    "e5m2_dtype",
    "load_config",
]

e4m3_dtype = torch.float8_e4m3fn
e5m2_dtype = torch.float8_e5m2


class ScalingType(enum.Enum):
    """Whether a tensor is scaled and cast to FP8, or left in its own precision."""

    DYNAMIC = "dynamic"
    DISABLED = "disabled"

    def short_str(self) -> str:
        """Returns "dyn" or "dis"."""
        return self.value[:3]


class ScalingGranularity(enum.Enum):
    """Which values share a scale: all of a tensor, or those along the contraction dimension."""

    TENSORWISE = "tensorwise"
    AXISWISE = "axiswise"

    def short_str(self) -> str:
        """Returns "ten" or "axs"."""
        return {"tensorwise": "ten", "axiswise": "axs"}[self.value]


@dataclass(frozen=True)
class CastConfig:
    """How one operand of one product is cast to FP8.

    Args:
        scaling_type: whether it is cast at all.
        scaling_granularity: which values share a scale.
        target_dtype: torch.float8_e4m3fn or torch.float8_e5m2; None: the operand's default.

    Raises:
        ConfigError: axiswise scaling that is disabled, or another dtype.
    """

    scaling_type: ScalingType = ScalingType.DYNAMIC
    scaling_granularity: ScalingGranularity = ScalingGranularity.TENSORWISE
    target_dtype: torch.dtype | None = None

    def __post_init__(self) -> None:
        _C.check_cast(self)

    def short_str(self) -> str:
        """Returns for example "dyn_ten_e4m3"; "auto" stands for a dtype that is not decided."""
        return _C.short_str(self)


@dataclass(frozen=True)
class Float8GemmConfig:
    """How one product is computed.

    Args:
        use_fast_accum: accumulate in lower precision; no effect in emulation.
    """

    use_fast_accum: bool = False


class Float8LinearRecipeName(enum.Enum):
    """The recipes: ready values of `Float8LinearConfig`.

    TENSORWISE: one scale per tensor, gradients in E5M2. The fastest.
    ROWWISE: one scale per row, E4M3 only, scales are powers of two.
    ROWWISE_WITH_GW_HP: as ROWWISE, with the weight's gradient in high precision.
    """

    TENSORWISE = "tensorwise"
    ROWWISE = "rowwise"
    ROWWISE_WITH_GW_HP = "rowwise_with_gw_hp"


@dataclass(frozen=True)
class Float8LinearConfig:
    """How a linear layer computes its output and its two gradients in FP8.

    The optional casts fall back to the cast of the same tensor in its first product; a dtype that
    is not given becomes E4M3 for input and weight, E5M2 for grad_output. After construction every
    cast and dtype is filled in.

    Args:
        cast_config_input: the input, in output = input @ weight.T.
        cast_config_input_for_grad_weight: the input, in grad_weight = grad_output.T @ input.
        cast_config_weight: the weight, in output.
        cast_config_weight_for_grad_input: the weight, in grad_input = grad_output @ weight.
        cast_config_grad_output: grad_output, in grad_input.
        cast_config_grad_output_for_grad_weight: grad_output, in grad_weight.
        gemm_config_output: the product that gives the output.
        gemm_config_grad_input: the product that gives the input's gradient.
        gemm_config_grad_weight: the product that gives the weight's gradient.
        enable_fsdp_float8_all_gather: FSDP2 gathers the weight as FP8.
        pad_inner_dim: convert layers whose sizes need padding to a multiple of 16, too.
        emulate: the same casts without FP8 hardware.
        force_recompute_fp8_weight_in_bwd: the backward pass quantizes the weight again instead of
            keeping its FP8 copy. (In torchao this switch has no effect.)
        round_scales_to_power_of_2: round the scales down to powers of two.

    Raises:
        ConfigError: a product with only one operand in FP8, a tensor with two dtypes, E5M2 times
            E5M2, or an FP8 all-gather of a weight that is not scaled tensorwise.
    """

    cast_config_input: CastConfig = CastConfig()
    cast_config_input_for_grad_weight: CastConfig | None = None
    cast_config_weight: CastConfig = CastConfig()
    cast_config_weight_for_grad_input: CastConfig | None = None
    cast_config_grad_output: CastConfig = CastConfig()
    cast_config_grad_output_for_grad_weight: CastConfig | None = None
    gemm_config_output: Float8GemmConfig = Float8GemmConfig(use_fast_accum=True)
    gemm_config_grad_input: Float8GemmConfig = Float8GemmConfig()
    gemm_config_grad_weight: Float8GemmConfig = Float8GemmConfig()
    enable_fsdp_float8_all_gather: bool = False
    pad_inner_dim: bool = False
    emulate: bool = False
    force_recompute_fp8_weight_in_bwd: bool = False
    round_scales_to_power_of_2: bool = False

    def __post_init__(self) -> None:
        for name, value in _fields(_C.resolve(self)).items():
            object.__setattr__(self, name, value)

    @staticmethod
    def from_recipe_name(recipe_name: Float8LinearRecipeName | str) -> Float8LinearConfig:
        """Returns the configuration of a recipe.

        Raises:
            ConfigError: no such recipe; the message lists the valid names.
        """
        name = recipe_name.value if isinstance(recipe_name, enum.Enum) else recipe_name
        return Float8LinearConfig(**_fields(_C.recipe(name)))

    def _operator_arguments(self) -> tuple[Any, ...]:
        """The arguments of torch.ops.float8.linear after (input, weight, bias)."""
        input_dtype, weight_dtype, grad_output_dtype, *others = _C.operator_arguments(self)
        dtypes = (getattr(torch, name) for name in (input_dtype, weight_dtype, grad_output_dtype))
        return (*dtypes, *others)


def _fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turns C++'s plain values of Float8LinearConfig's fields into the classes above."""
    return {name: _field(value) for name, value in values.items()}


def _field(value: Any) -> Any:
    if isinstance(value, tuple):
        scaling_type, granularity, dtype = value
        return CastConfig(
            ScalingType(scaling_type),
            ScalingGranularity(granularity),
            None if dtype is None else getattr(torch, dtype),
        )
    return Float8GemmConfig(**value) if isinstance(value, dict) else value


@dataclass(frozen=True)
class Fp8Config:
    """The section `fp8:` of a configuration file.

    Args:
        enabled: False leaves the model alone.
        recipe_name: "tensorwise", "rowwise", "rowwise_with_gw_hp"; None means tensorwise.
        enable_fsdp_float8_all_gather: FSDP2 gathers the weights as FP8; tensorwise only.
        precompute_float8_dynamic_scale_for_fsdp: after each optimizer step, the scales of all
            sharded weights from one all-reduce; needs the all-gather.
        force_recompute_fp8_weight_in_bwd: the backward pass quantizes the weights again.
        filter_fqns: the layers to leave alone, by a part of their name or a glob over all of it;
            "auto_filter_small_kn" stands for those too small to gain.
        emulate: the same casts without FP8 hardware.

    Raises:
        ConfigError: what would be an error in a file.
    """

    enabled: bool = False
    recipe_name: str | None = None
    enable_fsdp_float8_all_gather: bool = False
    precompute_float8_dynamic_scale_for_fsdp: bool = False
    force_recompute_fp8_weight_in_bwd: bool = False
    filter_fqns: list[str] = field(default_factory=list)
    emulate: bool = False

    def __post_init__(self) -> None:
        checked = _C.check_config({"fp8": dataclasses.asdict(self)}, "Fp8Config")
        object.__setattr__(self, "filter_fqns", checked["fp8"]["filter_fqns"])

    def linear_config(self) -> Float8LinearConfig:
        """Returns the configuration of the layers that this section stands for."""
        return Float8LinearConfig(**_fields(_C.linear_config({"fp8": dataclasses.asdict(self)})))


@dataclass(frozen=True)
class CompileConfig:
    """The section `compile:` of a configuration file: the arguments of torch.compile.

    Args:
        enabled: whether the model is compiled.
        mode: "default", "reduce-overhead", "max-autotune" or "max-autotune-no-cudagraphs".
        fullgraph: a graph break is an error.
        dynamic: compile for any sizes at once.
        backend: None means inductor.

    Raises:
        ConfigError: what would be an error in a file.
    """

    enabled: bool = False
    mode: str = "default"
    fullgraph: bool = False
    dynamic: bool = False
    backend: str | None = None

    def __post_init__(self) -> None:
        _C.check_config({"compile": dataclasses.asdict(self)}, "CompileConfig")


@dataclass(frozen=True)
class Config:
    """The sections of a configuration file that this library reads."""

    fp8: Fp8Config = field(default_factory=Fp8Config)
    compile: CompileConfig = field(default_factory=CompileConfig)


def load_config(
    path: str | os.PathLike[str], overrides: Iterable[tuple[str, str]] | None = None
) -> Config:
    """Reads the sections `fp8` and `compile` of a YAML file.

    Args:
        path: the file.
        overrides: (dotted key, YAML text) pairs that replace what the file says, such as
            [("fp8.recipe_name", "rowwise")].

    Returns:
        Both sections; what the file leaves out has its default.

    Raises:
        ConfigError: the file cannot be understood. The message names file, line, key, what was
            expected, what was found, and the nearest valid key.
        OSError: the file cannot be opened or read; FileNotFoundError where there is none.
    """
    sections = _C.load_config(path, None if overrides is None else list(overrides))
    return Config(Fp8Config(**sections["fp8"]), CompileConfig(**sections["compile"]))


def dump(config: Config) -> str:
    """Returns YAML text with every key of both sections, which loads to an equal value."""
    return _C.dump(dataclasses.asdict(config))
