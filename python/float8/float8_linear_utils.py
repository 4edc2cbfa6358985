"""The conversion of a model: first a plan, then the swap, all or nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from float8 import _C, encoder_fast_path
from float8._C import ConversionReport, LinearInfo
from float8.config import Float8LinearConfig, Float8LinearRecipeName, Fp8Config
from float8.float8_linear import Float8Linear, own_forward
from float8.fsdp.parameters import wrap_weights

__all__ = ["ConversionPlan", "convert_to_float8_training", "plan_conversion"]

log = logging.getLogger("float8")

ModuleFilter = Callable[[nn.Module, str], bool]


@dataclass(frozen=True)
class ConversionPlan:
    """What a conversion will do.

    Args:
        module: the model.
        config: how the converted layers compute.
        report: the decision and the reason for each linear layer; prints as a table.
    """

    module: nn.Module
    config: Float8LinearConfig
    report: ConversionReport

    def apply(self) -> nn.Module:
        """Converts the layers that the report names, and returns the model.

        The layers change in place: they stay the same objects with the same parameters, hooks,
        mode and names, and so does everything that refers to them.

        Raises:
            ValueError: with enable_fsdp_float8_all_gather a weight that cannot be gathered as FP8;
                the model is unchanged.
        """
        layers = [self.module.get_submodule(d.fqn) for d in self.report.layers if d.converted]
        state = Float8Linear.state_of(self.config)  # what can fail, fails before the first swap
        gathered = self._gather_as_float8(layers)
        for layer in layers:
            layer.__class__ = Float8Linear
            layer.__dict__.update(state, gathers_float8=layer in gathered)
            for hook in layer._load_state_dict_post_hooks.values():
                assert isinstance(layer, Float8Linear)
                layer.note_sharding(hook)
        encoder_fast_path.turn_off(self.module)
        return self.module

    def _gather_as_float8(self, layers: list[nn.Module]) -> set[nn.Module]:
        if not self.config.enable_fsdp_float8_all_gather:
            return set()
        linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
        gathered, shared = wrap_weights(self.module, linear, self.config)
        log.info("FSDP2 (fully_shard) will gather the weights of %d layers as FP8", len(gathered))
        if shared:
            log.warning(
                "not gathered as FP8, as other modules read the same weight: %s", ", ".join(shared)
            )
        return set(gathered)


def plan_conversion(
    module: nn.Module,
    *,
    module_filter_fn: ModuleFilter | None = None,
    config: Float8LinearConfig | Fp8Config | None = None,
) -> ConversionPlan:
    """Decides which linear layers of a model will compute in FP8, without changing it.

    A layer is converted unless `config.filter_fqns` (of an Fp8Config) or `module_filter_fn`
    excludes it, its sizes are no multiples of 16, or it is more than a plain nn.Linear.

    Args:
        module: the model, or a single nn.Linear.
        module_filter_fn: called with each nn.Linear and its name; False excludes the layer.
        config: how the layers compute; the `fp8:` section of a file works too. None is the
            tensorwise recipe.

    Returns:
        The plan: its `report` prints as a table, its `apply()` converts.

    Raises:
        ConfigError: an invalid configuration, or no layer would be converted.
    """
    filters: list[str] = []
    if isinstance(config, Fp8Config):
        filters = config.filter_fqns
        config = config.linear_config()
    config = Float8LinearConfig() if config is None else config
    report = _C.plan_conversion(_linear_layers(module, module_filter_fn), config, filters)
    return ConversionPlan(module, config, report)


def convert_to_float8_training(
    module: nn.Module,
    *,
    module_filter_fn: ModuleFilter | None = None,
    config: Float8LinearConfig | Fp8Config | None = None,
) -> nn.Module:
    """Makes the linear layers of a model compute in FP8, in place.

    All or nothing: the plan comes first (see plan_conversion), and an error leaves the model as it
    was. The parameters stay the same objects, so that an optimizer made before goes on working.

    Args:
        module: the model, or a single nn.Linear.
        module_filter_fn: called with each nn.Linear and its name; False excludes the layer.
        config: how the layers compute; the `fp8:` section of a file works too, and leaves the
            model alone where it says `enabled: false`. None is the tensorwise recipe.

    Returns:
        The model.

    Raises:
        ConfigError: an invalid configuration, or no layer would be converted.
        ValueError: with enable_fsdp_float8_all_gather a weight that cannot be gathered as FP8.
    """
    if isinstance(config, Fp8Config) and not config.enabled:
        log.warning("fp8.enabled is false: the model is left in high precision")
        return module
    plan = plan_conversion(module, module_filter_fn=module_filter_fn, config=config)
    for warning in plan.report.warnings:
        log.warning("%s", warning)
    log.info("%d of %d linear layers converted", plan.report.converted, plan.report.total)
    return plan.apply()


def _auto_filter_for_recipe(
    recipe: Float8LinearRecipeName | str, filter_fqns: list[str]
) -> Callable[[nn.Module, str], bool]:
    """Returns a module_filter_fn that leaves out what is named, unaligned, or too small to gain.

    The name is torchao's, for its users; the same as `auto_filter_small_kn` in a file.

    Args:
        recipe: how the layers would compute.
        filter_fqns: parts of names, or globs over whole names, to leave out.
    """
    config = Float8LinearConfig.from_recipe_name(recipe)
    filters = [*filter_fqns, "auto_filter_small_kn"]

    def gains(module: nn.Module, name: str) -> bool:
        if not isinstance(module, nn.Linear):
            return False
        layer = LinearInfo(name, module.in_features, module.out_features)
        return _C.plan_layer(layer, config, filters).converted

    return gains


def _linear_layers(module: nn.Module, module_filter_fn: ModuleFilter | None) -> list[LinearInfo]:
    """Describes each nn.Linear of a model once, with all of its names."""
    names: dict[nn.Linear, list[str]] = {}
    for name, candidate in module.named_modules(remove_duplicate=False):
        if isinstance(candidate, nn.Linear):
            names.setdefault(candidate, []).append(name)
    return [_describe(layer, fqns, module_filter_fn) for layer, fqns in names.items()]


def _describe(
    layer: nn.Linear, names: list[str], module_filter_fn: ModuleFilter | None
) -> LinearInfo:
    why = _why_not_plain(layer)
    return LinearInfo(
        names[0],
        layer.in_features,
        layer.out_features,
        bias=layer.bias is not None,
        type_name=type(layer).__name__,
        plain=not why,
        why_not_plain=why,
        excluded_by_filter_fn=module_filter_fn is not None
        and not all(module_filter_fn(layer, name) for name in names),
        aliases=names[1:],
    )


def _why_not_plain(layer: nn.Linear) -> str:
    """The reason why a layer's forward is not ours to replace; empty where it is."""
    kind = type(layer)
    if isinstance(layer, Float8Linear):
        return "it is converted already"
    if why := own_forward(layer):
        return why
    if kind is nn.modules.linear.NonDynamicallyQuantizableLinear:
        return "nn.MultiheadAttention reads its weight without calling it"
    if kind is not nn.Linear:
        return f"{kind.__name__} is a subclass of nn.Linear"
    return ""
