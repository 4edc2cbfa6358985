"""Each key of `fp8:` does something that can be seen in the model that the command trains.

The all-gather and the precomputed scales need several processes: test_shard.py. `emulate: false`
needs a GPU, or is an error: test_cli.py.
"""

from __future__ import annotations

import torch
from torch import nn

import float8
from float8.train.config.settings import load_settings
from float8.train.model import build_model, read_model_config

CPU = torch.device("cpu")
FP8 = (torch.float8_e4m3fn, torch.float8_e5m2)


def converted(config, **keys: str) -> nn.Module:
    """The tiny configuration's model with these keys of `fp8:`."""
    settings = load_settings(str(config), [(f"fp8.{key}", value) for key, value in keys.items()])
    model = build_model(settings, read_model_config(settings), CPU)
    if not settings.fp8.enabled:
        return model
    return float8.plan_conversion(model, config=settings.fp8).apply()


def fp8_layers(model: nn.Module) -> set[str]:
    return {n for n, m in model.named_modules() if isinstance(m, float8.Float8Linear)}


def output_of(model: nn.Module) -> torch.Tensor:
    return model(input_ids=torch.arange(16).view(1, 16), use_cache=False).logits


def test_enabled(config):
    assert not fp8_layers(converted(config, enabled="false"))
    assert fp8_layers(converted(config))


def test_filter_fqns(config):
    every = fp8_layers(converted(config, filter_fqns="[]"))
    assert "lm_head" in every
    left = fp8_layers(converted(config, filter_fqns="[lm_head, '*.mlp.*']"))
    assert left == {name for name in every if name != "lm_head" and ".mlp." not in name}


def test_recipe_name(config):
    outputs = [output_of(converted(config, recipe_name=name)) for name in ("tensorwise", "rowwise")]
    assert not torch.equal(*outputs)
    for name, kept in (("rowwise", False), ("rowwise_with_gw_hp", True)):
        model = converted(config, recipe_name=name)
        layer = next(m for m in model.modules() if isinstance(m, float8.Float8Linear))
        # The weight's gradient in high precision: of a BF16 input and gradient, exactly theirs.
        x = torch.randn(16, layer.in_features, dtype=layer.weight.dtype)
        gradient = torch.randn(16, layer.out_features, dtype=layer.weight.dtype)
        layer(x).backward(gradient)
        exact = (gradient.double().t() @ x.double()).to(layer.weight.dtype)
        assert torch.allclose(layer.weight.grad, exact, rtol=2**-7, atol=1e-3) == kept


def test_force_recompute_fp8_weight_in_bwd(config):
    kept = []
    for value in ("false", "true"):
        model = converted(config, recipe_name="tensorwise", force_recompute_fp8_weight_in_bwd=value)
        sizes = {m.weight.numel() for m in model.modules() if isinstance(m, float8.Float8Linear)}
        saved: list[int] = []

        def pack(tensor: torch.Tensor, saved: list[int] = saved) -> torch.Tensor:
            if tensor.dtype in FP8:
                saved.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            output_of(model)
        kept.append(sum(numel in sizes for numel in saved))
        layers = len(fp8_layers(model))
    assert kept == [layers, 0]
