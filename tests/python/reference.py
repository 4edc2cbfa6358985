"""What the operators must compute: float64 arithmetic and tables, and nothing of the library."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

E4M3 = torch.float8_e4m3fn
E5M2 = torch.float8_e5m2
FORMATS = (E4M3, E5M2)
HIGH_PRECISION = (torch.float32, torch.bfloat16, torch.float16)
LARGEST = {E4M3: 448.0, E5M2: 57344.0}
MANTISSA_BITS = {E4M3: 3, E5M2: 2}
EXPONENT_BIAS = {E4M3: 7, E5M2: 15}
NAN_CODE = 0x7F

TENSOR, ROW, COLUMN = [0, 0], [1, 0], [0, 1]


def pad16(size: int) -> int:
    """The next multiple of 16."""
    return -(-size // 16) * 16


def every_value(dtype: torch.dtype) -> Tensor:
    """All 65536 values of a 16-bit dtype as [256, 256]; a row holds one upper byte."""
    return torch.arange(-(2**15), 2**15, dtype=torch.int16).view(dtype).reshape(256, 256)


@functools.cache
def code_values(dtype: torch.dtype) -> Tensor:
    """The values of the codes 0 to 127, by the formula of the OFP8 specification."""
    bits, bias = MANTISSA_BITS[dtype], EXPONENT_BIAS[dtype]
    code = torch.arange(128, dtype=torch.float64)
    exponent, fraction = code.div(2**bits, rounding_mode="floor"), code.remainder(2**bits) / 2**bits
    normal = (1 + fraction) * torch.exp2(exponent - bias)
    values = torch.where(exponent > 0, normal, fraction * 2.0 ** (1 - bias))
    values[values > LARGEST[dtype]] = torch.nan
    if dtype == E5M2:
        values[0x7C] = torch.inf
    return values


def decode(data: Tensor) -> Tensor:
    """The float64 values of FP8 data."""
    codes = data.view(torch.uint8).long()
    return torch.where(codes > 127, -1.0, 1.0) * code_values(data.dtype)[codes & 127]


def encode(values: Tensor, dtype: torch.dtype) -> Tensor:
    """The codes (uint8) nearest to float32 values, ties to the even code, clamped; NaN is 0x7F."""
    finite = code_values(dtype)[code_values(dtype) <= LARGEST[dtype]]
    magnitude = values.double().abs().clamp(max=LARGEST[dtype]).nan_to_num(0.0)
    upper = torch.searchsorted(finite, magnitude.contiguous())
    lower = (upper - 1).clamp(min=0)
    above, below = finite[upper] - magnitude, magnitude - finite[lower]
    code = torch.where((below < above) | ((below == above) & (lower % 2 == 0)), lower, upper)
    code = code + 128 * torch.signbit(values)
    return torch.where(values.isnan(), NAN_CODE, code).to(torch.uint8)


def padded(codes: Tensor) -> Tensor:
    """Codes with zeros up to a multiple of 16 columns."""
    return torch.nn.functional.pad(codes, (0, pad16(codes.shape[1]) - codes.shape[1]))


def amax(x: Tensor, block: list[int]) -> Tensor:
    """max|x| of each block of x [M, K], in x's dtype; 0 where a block is empty."""
    zero = torch.zeros(1, 1, dtype=x.dtype)
    magnitude = x.abs()
    if block == ROW:
        return torch.cat([magnitude, zero.expand(x.shape[0], 1)], 1).amax(1, keepdim=True)
    if block == COLUMN:
        return torch.cat([magnitude, zero.expand(1, x.shape[1])], 0).amax(0, keepdim=True)
    return torch.cat([magnitude.reshape(-1, 1), zero]).amax().reshape(1, 1)


def scale(amax: Tensor, dtype: torch.dtype, power_of_two: bool) -> Tensor:
    """The float32 factor before the cast."""
    result = (LARGEST[dtype] / amax.double().clamp(min=1e-12)).float()
    if power_of_two:
        exponent = torch.floor(torch.log2(result.double()).float())
        result = torch.exp2(exponent.double()).float()
    return result


def cast(x: Tensor, scale: Tensor, dtype: torch.dtype, transpose: bool = False) -> Tensor:
    """The padded codes of x [M, K] times a scale."""
    codes = encode(x.float() * scale, dtype)
    return padded(codes.t() if transpose else codes)


def quantize(
    x: Tensor, dtype: torch.dtype, block: list[int], power_of_two: bool, transpose: bool = False
) -> tuple[Tensor, Tensor]:
    """The padded codes of x [M, K] or its transpose, and scale_inv; the block is the result's."""
    source = x.t() if transpose else x
    factor = scale(amax(source, block), dtype, power_of_two)
    return cast(source, factor, dtype), (1 / factor.double()).float()


def calc_diff(a: Tensor, b: Tensor) -> float:
    """1 - 2ab / (aa + bb), the measure that DeepGEMM's tests use; 0 for equal tensors."""
    a, b = a.double(), b.double()
    return float(1 - 2 * (a * b).sum() / (a * a + b * b).sum())


def sqnr(exact: Tensor, other: Tensor) -> float:
    """Signal to quantization noise, in dB."""
    exact, other = exact.double(), other.double()
    return float(20 * torch.log10(exact.norm() / (exact - other).norm()))
