"""The weight that a layer reads between an FP8 all-gather and the next reshard."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["GatheredFloat8Weight"]

aten = torch.ops.aten
ops = torch.ops.float8

# What FSDP2, nn.Parameter and autograd do to a parameter before a layer sees it.
_SAME = {aten.alias.default, aten.as_strided.default, aten.detach.default, aten.view.default}


class GatheredFloat8Weight(torch.Tensor):
    """A weight [N, K] of which only the FP8 data and its scale exist.

    It answers the operators by which a layer asks for FP8 copies of its weight, in the forward and
    in the backward pass, with the bits that they would make of the high-precision weight. It owns
    no memory: the bytes are FSDP2's, which frees them after the layer's turn and fills them again
    for its next, so that a backward pass finds what was gathered last.

    Args:
        data: FP8 [N, K].
        scale_inv: float32 [1, 1].
        dtype: of the weight that it stands for, and of its gradient.
        power_of_two: how the scale was rounded.
    """

    _data: torch.Tensor
    _scale_inv: torch.Tensor
    _power_of_two: bool

    @staticmethod
    def __new__(
        cls, data: torch.Tensor, scale_inv: torch.Tensor, dtype: torch.dtype, power_of_two: bool
    ) -> GatheredFloat8Weight:
        self: GatheredFloat8Weight = torch.Tensor._make_wrapper_subclass(
            cls, data.size(), strides=data.stride(), dtype=dtype, device=data.device
        )
        return self

    def __init__(
        self, data: torch.Tensor, scale_inv: torch.Tensor, dtype: torch.dtype, power_of_two: bool
    ) -> None:
        self._data = data
        self._scale_inv = scale_inv
        self._power_of_two = power_of_two

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        func: torch._ops.OpOverload,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is ops.linear.default:  # in inference mode nothing above takes it apart
            return func.decompose(*args, **(kwargs or {}))
        self = args[0] if args else None
        if isinstance(self, cls):
            if func is ops.quantize.default:
                return self._quantize(*args[1:], **(kwargs or {}))
            if func is ops.quantize_pair.default:
                return self._quantize_pair(*args[1:], **(kwargs or {}))
            if func in _SAME and (len(args) == 1 or [*args[1]] == [*self.shape]):
                return cls(self._data, self._scale_inv, self.dtype, self._power_of_two)
        raise RuntimeError(
            f"[{func}] a weight that FSDP2 gathered as FP8 can be read by its Float8Linear only, "
            f"got another operator; reshard() the module to see its values, or leave the layer "
            "out of the conversion"
        )

    def _quantize(
        self,
        dtype: torch.dtype,
        block: list[int],
        power_of_two: bool = False,
        transpose: bool = False,
        after: torch.Tensor | None = None,
        amax: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self._check(dtype, block, power_of_two)
        return (self._transposed() if transpose else self._straight()), self._scale_inv

    def _quantize_pair(
        self,
        dtype: torch.dtype,
        block: list[int],
        block_t: list[int],
        power_of_two: bool = False,
        amax: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        self._check(dtype, block, power_of_two)
        self._check(dtype, block_t, power_of_two)
        return self._straight(), self._scale_inv, self._transposed(), self._scale_inv

    def _check(self, dtype: torch.dtype, block: list[int], power_of_two: bool) -> None:
        have = (self._data.dtype, [0, 0], self._power_of_two)
        wanted = (dtype, list(block), power_of_two)
        if wanted != have:
            raise RuntimeError(
                "[quantize] a weight that was gathered as FP8 has one cast (dtype, block, power of "
                f"two), {have}, got a layer that needs {wanted}; set enable_fsdp_float8_all_gather "
                "to false"
            )

    def _straight(self) -> torch.Tensor:
        columns = self._data.shape[1]
        padding = -columns % 16
        if padding == 0:
            return self._data
        padded = torch.nn.functional.pad(self._data.view(torch.uint8), (0, padding))
        return padded.view(self._data.dtype)

    def _transposed(self) -> torch.Tensor:
        transposed: torch.Tensor = ops.transpose(self._data)
        return transposed

    def __tensor_flatten__(self) -> tuple[list[str], Any]:
        return ["_data", "_scale_inv"], (self.dtype, self._power_of_two)

    @classmethod
    def __tensor_unflatten__(
        cls, inner: dict[str, torch.Tensor], context: Any, outer_size: Any, outer_stride: Any
    ) -> GatheredFloat8Weight:
        return cls(inner["_data"], inner["_scale_inv"], *context)

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"{type(self).__name__}({list(self.shape)}, {self._data.dtype}, for {self.dtype})"
