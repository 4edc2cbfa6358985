"""Float8Linear: an `nn.Linear` that computes its three products in FP8."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from float8.config import Float8LinearConfig, ScalingType
from float8.fsdp.layer import ShardableLinear
from float8.fsdp.parameters import wrap_weights

__all__ = ["Float8Linear"]


class Float8Linear(ShardableLinear):
    """A linear layer whose forward and backward products are computed in FP8.

    The parameters are those of `nn.Linear`, in high precision: `weight` [N, K] and `bias` [N] or
    None. State dicts, optimizers and checkpoints cannot tell the two apart. The casts and products
    are C++ operators, the backward pass too; no Python runs in it.

    Args:
        in_features: K. Sizes that are no multiple of 16 are padded for the products.
        out_features: N.
        bias: whether there is a bias.
        device: where the parameters are made.
        dtype: their dtype.
        config: how the layer computes; None is the tensorwise recipe.
    """

    scaling_type_input: ScalingType
    scaling_type_weight: ScalingType
    scaling_type_grad_output: ScalingType
    #: Whether the weight's gradient is added to `weight.main_grad`: see `fuse_wgrad_accumulation`.
    fuse_wgrad_accumulation: bool

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        *,
        config: Float8LinearConfig | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        self.__dict__.update(self.state_of(config))
        if self.config.enable_fsdp_float8_all_gather:
            wrap_weights(self, [self], self.config)
            self.gathers_float8 = True

    @property
    def config(self) -> Float8LinearConfig:
        """How the layer computes. It is fixed when the layer is made."""
        config: Float8LinearConfig = self.__dict__["config"]
        return config

    @config.setter
    def config(self, config: Float8LinearConfig) -> None:
        raise AttributeError(
            "[Float8Linear] config is fixed when a layer is made, got an assignment, which would "
            "change nothing; make another layer with Float8Linear.from_float(layer, config)"
        )

    @staticmethod
    def state_of(config: Float8LinearConfig | None) -> dict[str, Any]:
        """Returns the attributes that make a Float8Linear of an nn.Linear.

        They are plain Python values: torch.compile sees through them, pickle and deepcopy copy
        them. Raises ConfigError where the configuration cannot work.
        """
        config = Float8LinearConfig() if config is None else config
        return {
            "config": config,
            "scaling_type_input": config.cast_config_input.scaling_type,
            "scaling_type_weight": config.cast_config_weight.scaling_type,
            "scaling_type_grad_output": config.cast_config_grad_output.scaling_type,
            "fuse_wgrad_accumulation": False,
            "gathers_float8": False,
            "_operator_arguments": config._operator_arguments(),
        }

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Computes input [..., K] @ weight.T + bias: [..., N], in the input's dtype.

        Under autocast the input is cast to autocast's dtype first.

        Raises:
            RuntimeError: an input that is not float32, bfloat16 or float16, of another size than
                K, on another device than the weight, or on a CPU without `emulate`; a missing
                `main_grad`, or one that cannot be used.
            NotImplementedError: a DTensor as input or weight, as tensor parallelism makes them.
        """
        main_grad = self._main_grad() if self.fuse_wgrad_accumulation else None
        try:
            output: torch.Tensor = torch.ops.float8.linear.default(
                input, self.weight, self.bias, *self._operator_arguments, main_grad
            )
        except RuntimeError:
            self.refuse_dtensors(input)
            raise
        return output

    def _main_grad(self) -> torch.Tensor:
        # A compiler does not see the weight's hooks; in eager mode the operator looks for them.
        if torch.compiler.is_compiling() and _inside_ddp():
            raise RuntimeError(
                "[Float8Linear] with main_grad autograd gets no gradient of the weight, got a "
                "layer inside of DDP, which waits for one; use one or the other"
            )
        main_grad: torch.Tensor | None = getattr(self.weight, "main_grad", None)
        if main_grad is None:
            raise RuntimeError(
                "[Float8Linear] fuse_wgrad_accumulation needs a weight that carries main_grad "
                f"{list(self.weight.shape)} float32, got a weight without one (a copy of a "
                "parameter loses its attributes); call float8.fuse_wgrad_accumulation(model) again"
            )
        return main_grad

    def extra_repr(self) -> str:
        """Returns nn.Linear's description and the casts that differ from one another."""
        c = self.config
        casts = {"i": c.cast_config_input, "w": c.cast_config_weight}
        casts["go"] = c.cast_config_grad_output
        for name, first, second in (
            ("i_gw", c.cast_config_input, c.cast_config_input_for_grad_weight),
            ("w_gi", c.cast_config_weight, c.cast_config_weight_for_grad_input),
            ("go_gw", c.cast_config_grad_output, c.cast_config_grad_output_for_grad_weight),
        ):
            if second is not None and second != first:
                casts[name] = second
        described = ",".join(f"{name}:{cast.short_str()}" for name, cast in casts.items())
        emulated = ", emulate=True" if c.emulate else ""
        return f"{super().extra_repr()}, cast_configs={described}{emulated}"

    @classmethod
    def from_float(cls, mod: nn.Linear, config: Float8LinearConfig | None = None) -> Float8Linear:
        """Makes an FP8 layer of an `nn.Linear`, with the same parameter objects.

        Everything else that `mod` carries (hooks, mode, attributes) comes along; `mod` itself stays
        as it is.

        Args:
            mod: the layer.
            config: how the new layer computes; None is the tensorwise recipe.

        Raises:
            TypeError: `mod` is no nn.Linear, or has a forward of its own, which would be lost.
            ValueError: the weight cannot be one that FSDP2 gathers as FP8.
            ConfigError: the configuration cannot work.
        """
        if not isinstance(mod, nn.Linear):
            raise TypeError(f"[from_float] mod must be an nn.Linear, got {type(mod).__name__}")
        if why := own_forward(mod):
            raise TypeError(f"[from_float] mod must compute what nn.Linear does, but {why}")
        new = cls.__new__(cls)
        new.__dict__.update({name: _own(value) for name, value in mod.__dict__.items()})
        new.__dict__.update(cls.state_of(config))
        if new.config.enable_fsdp_float8_all_gather:
            wrap_weights(new, [new], new.config)
            new.gathers_float8 = True
        return new


def _inside_ddp() -> bool:
    # The attribute and not its getter, which would break a compiled graph.
    return nn.parallel.DistributedDataParallel._active_ddp_module is not None


def own_forward(layer: nn.Linear) -> str:
    """Says what a layer computes instead of nn.Linear's forward; empty where it computes that."""
    kind = type(layer)
    if torch.nn.utils.parametrize.is_parametrized(layer):
        names = ", ".join(layer.get_submodule("parametrizations")._modules)
        return f"it is parametrized ({names})"
    if kind.forward not in (nn.Linear.forward, Float8Linear.forward):
        return f"{kind.__name__} has a forward of its own"
    if "forward" in layer.__dict__:
        return "its forward was replaced on the module"
    return ""


def _own(value: Any) -> Any:
    """A copy of a module's dictionaries, so that two modules do not share their contents."""
    return value.copy() if isinstance(value, dict) else value
