"""FSDP2 with FP8 weights; README.md says what works with what."""

from float8.fsdp.gathered import GatheredFloat8Weight
from float8.fsdp.precompute import precompute_float8_dynamic_scale_for_fsdp
from float8.fsdp.weight import WeightWithDynamicFloat8CastTensor

__all__ = [
    "GatheredFloat8Weight",
    "WeightWithDynamicFloat8CastTensor",
    "precompute_float8_dynamic_scale_for_fsdp",
]
