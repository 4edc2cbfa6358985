"""The weight of a layer whose all-gather is in FP8: high-precision values that travel as FP8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.utils._pytree as pytree
from torch import nn

from float8.config import Float8LinearConfig
from float8.fsdp.amax import global_amax, known_amax
from float8.fsdp.gathered import GatheredFloat8Weight

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.fsdp import MixedPrecisionPolicy

__all__ = ["WeightWithDynamicFloat8CastTensor"]

aten = torch.ops.aten

# What keeps the class where the result is a matrix: how FSDP2 cuts, pads and moves a parameter, and
# how modules copy theirs. All other results are plain tensors: an optimizer's state, arithmetic.
_VIEWS = {
    aten.alias.default,
    aten.as_strided.default,
    aten.detach.default,
    aten.slice.Tensor,
    aten.split.Tensor,
    aten.view.default,
}
_COPIES = {
    aten._pin_memory.default,
    aten._to_copy.default,
    aten.clone.default,
    aten.empty_like.default,
    aten.new_zeros.default,
}


@dataclass(eq=False)
class Writes:
    """How often the values of a weight were written to, by operators that saw the weight."""

    count: int = 0


class WeightWithDynamicFloat8CastTensor(torch.Tensor):
    """A weight [N, K] in high precision that FSDP2 gathers as FP8, half of BF16's bytes.

    Everywhere but in an all-gather it computes as the plain tensor that it holds. Each shard is
    cast with the scale of the whole weight, so that the gathered bytes are those of one process.
    The name and the arguments are torchao's, for its clients.

    Args:
        tensor: the values; shared, not copied.
        linear_mm_config: the layer's configuration: its weight cast and its power-of-two switch.
        dtype: what is sent: the weight cast's target_dtype.
        precomputed_scale: None. A scale belongs to the values that it was computed of, and is kept
            beside the parameter (amax.py), not in this tensor.

    Raises:
        ValueError: a precomputed_scale.
    """

    _tensor: torch.Tensor
    _linear_mm_config: Float8LinearConfig
    _dtype: torch.dtype
    _precomputed_scale: None
    _writes: Writes

    @staticmethod
    def __new__(
        cls,
        tensor: torch.Tensor,
        linear_mm_config: Float8LinearConfig,
        dtype: torch.dtype,
        precomputed_scale: torch.Tensor | None = None,
    ) -> WeightWithDynamicFloat8CastTensor:
        if precomputed_scale is not None:
            raise ValueError(
                "[WeightWithDynamicFloat8CastTensor] precomputed_scale must be None, got a tensor; "
                "call precompute_float8_dynamic_scale_for_fsdp(model) instead"
            )
        self: WeightWithDynamicFloat8CastTensor = torch.Tensor._make_wrapper_subclass(
            cls,
            tensor.size(),
            strides=tensor.stride(),
            storage_offset=tensor.storage_offset(),
            dtype=tensor.dtype,
            layout=tensor.layout,
            device=tensor.device,
            requires_grad=tensor.requires_grad,
        )
        return self

    def __init__(
        self,
        tensor: torch.Tensor,
        linear_mm_config: Float8LinearConfig,
        dtype: torch.dtype,
        precomputed_scale: torch.Tensor | None = None,
    ) -> None:
        self._tensor = tensor.detach() if tensor.requires_grad else tensor
        self._linear_mm_config = linear_mm_config
        self._dtype = dtype
        self._precomputed_scale = None
        self._writes = Writes()

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        func: torch._ops.OpOverload,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        weights: dict[int, WeightWithDynamicFloat8CastTensor] = {}

        def values(weight: WeightWithDynamicFloat8CastTensor) -> torch.Tensor:
            weights[id(weight._tensor)] = weight
            return weight._tensor

        plain = pytree.tree_map_only(cls, values, (args, kwargs or {}))
        result = func(*plain[0], **plain[1])
        if func._schema.is_mutable:
            _count_writes(func, args, kwargs or {})
            return pytree.tree_map_only(torch.Tensor, lambda t: weights.get(id(t), t), result)
        if func not in _VIEWS and func not in _COPIES:
            return result
        (like,) = weights.values()

        def wrap(tensor: torch.Tensor) -> torch.Tensor:
            if tensor.dim() != 2:
                return tensor
            wrapped = cls(tensor, like._linear_mm_config, like._dtype)
            if func in _VIEWS:
                wrapped._writes = like._writes
            return wrapped

        return pytree.tree_map_only(torch.Tensor, wrap, result)

    def __tensor_flatten__(self) -> tuple[list[str], Any]:
        return ["_tensor"], (self._linear_mm_config, self._dtype)

    @classmethod
    def __tensor_unflatten__(
        cls, inner: dict[str, torch.Tensor], context: Any, outer_size: Any, outer_stride: Any
    ) -> WeightWithDynamicFloat8CastTensor:
        return cls(inner["_tensor"], *context)

    def fsdp_pre_all_gather(
        self,
        mesh: DeviceMesh,
        outer_size: torch.Size,
        outer_stride: tuple[int, ...],
        module: nn.Module,
        mp_policy: MixedPrecisionPolicy,
    ) -> tuple[tuple[torch.Tensor], tuple[torch.Tensor, torch.Size]]:
        """Casts the own shard with the scale of the whole weight: what FSDP2 sends.

        Args:
            mesh: the processes that the weight is sharded over.
            outer_size: of the whole weight, [N, K].
            outer_stride: of the whole weight.
            module: the layer.
            mp_policy: unused; the cast is from the values as they are kept (see README.md).

        Returns:
            The bytes to send, those of a shard padded to the size of the largest; and what
            fsdp_post_all_gather needs: scale_inv [1, 1] and outer_size.
        """
        if not getattr(module, "gathers_float8", False):
            raise RuntimeError(
                "[fsdp_pre_all_gather] a weight that is gathered as FP8 must be a Float8Linear's, "
                f"got one of a {type(module).__name__} {list(outer_size)}, which needs its values; "
                "leave the layer out of the conversion, or set enable_fsdp_float8_all_gather to "
                "false"
            )
        amax = known_amax(module)
        if amax is None:
            amax = global_amax([self._tensor], [mesh.get_group()])[0]
        data, scale_inv = torch.ops.float8.quantize(
            self._tensor,
            self._dtype,
            (0, 0),
            self._linear_mm_config.round_scales_to_power_of_2,
            amax=amax,
        )
        rows, columns = self.shape
        # gloo has no FP8, and FSDP2 sends other parameters of the group as bytes beside it.
        data = data.view(torch.uint8)[:, :columns]
        padding = -(-outer_size[0] // mesh.size()) - rows
        if padding > 0:  # sharded by rows, the last shards may have fewer
            data = nn.functional.pad(data, (0, 0, 0, padding))
        return (data.contiguous(),), (scale_inv, outer_size)

    def fsdp_post_all_gather(
        self,
        all_gather_outputs: tuple[torch.Tensor, ...],
        metadata: tuple[torch.Tensor, torch.Size],
        param_dtype: torch.dtype,
        *,
        out: torch.Tensor | None = None,
    ) -> tuple[GatheredFloat8Weight, tuple[torch.Tensor, ...]] | None:
        """Makes the weight that the layer reads of the gathered bytes.

        Args:
            all_gather_outputs: the bytes of all shards; FSDP2 frees and fills them again.
            metadata: from fsdp_pre_all_gather.
            param_dtype: the dtype of the weight that the layer sees, and of its gradient.
            out: the weight of an earlier call: it reads the same bytes, which are new, and is
                given the new scale.

        Returns:
            The weight, and no tensors that FSDP2 would have to free beside its bytes; None with
            `out`.
        """
        scale_inv, outer_size = metadata
        if scale_inv.is_cuda:  # made in the stream of the all-gather, read in the layer's
            scale_inv.record_stream(torch.cuda.current_stream(scale_inv.device))
        if out is not None:
            assert isinstance(out, GatheredFloat8Weight)
            out._scale_inv = scale_inv
            return None
        size = outer_size.numel()
        data = all_gather_outputs[0].view(-1)[:size].view(outer_size).view(self._dtype)
        power_of_two = self._linear_mm_config.round_scales_to_power_of_2
        return GatheredFloat8Weight(data, scale_inv, param_dtype, power_of_two), ()

    @property
    def data(self) -> torch.Tensor:
        """The values beside any graph. Setting it gives the weight others, as of any parameter."""
        return super().data

    @data.setter
    def data(self, values: torch.Tensor) -> None:
        if not isinstance(values, WeightWithDynamicFloat8CastTensor):
            values = type(self)(values.detach(), self._linear_mm_config, self._dtype)
        torch.Tensor.data.__set__(self, values)  # type: ignore[attr-defined]  # its size and dtype
        self._tensor = values._tensor

    def data_ptr(self) -> int:
        """The address of the values: clients tell parameters apart by it."""
        return self._tensor.data_ptr()

    def untyped_storage(self) -> torch.UntypedStorage:
        """The memory of the values: FSDP2 looks whether a shard still lies where it put it."""
        if torch._guards.detect_fake_mode() is not None:  # a tracer describes both tensors apart
            return super().untyped_storage()
        return self._tensor.untyped_storage()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return _rebuild(self._tensor.clone(), *self._carried())

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild, (self._tensor, *self._carried())

    def _carried(self) -> tuple[Float8LinearConfig, torch.dtype, bool, bool]:
        is_parameter = isinstance(self, nn.Parameter)
        return self._linear_mm_config, self._dtype, self.requires_grad, is_parameter

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"{type(self).__name__}({self._tensor}, dtype={self._dtype})"


def _count_writes(func: torch._ops.OpOverload, args: tuple[Any, ...], kwargs: Any) -> None:
    for i, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[i] if i < len(args) else kwargs.get(argument.name)
            for tensor in pytree.tree_leaves(value):
                if isinstance(tensor, WeightWithDynamicFloat8CastTensor):
                    tensor._writes.count += 1


def _rebuild(
    tensor: torch.Tensor,
    config: Float8LinearConfig,
    dtype: torch.dtype,
    requires_grad: bool,
    is_parameter: bool,
) -> torch.Tensor:
    weight = WeightWithDynamicFloat8CastTensor(tensor, config, dtype)
    if is_parameter:
        return nn.Parameter(weight, requires_grad)
    return weight.requires_grad_(requires_grad)
