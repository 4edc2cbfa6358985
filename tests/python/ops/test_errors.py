"""The leaf operators say what they require, what came and what to do, on the CPU and on meta."""

import re

import pytest
import reference as ref
import torch
from checks import ops


def fp8(*shape, format=ref.E4M3, device="cpu"):
    return torch.empty(shape, device=device).to(format)


def f32(*shape, device="cpu"):
    return torch.ones(shape, device=device)


ONE = f32(1, 1)
MATRIX = f32(4, 32)
AS_INPUT = [
    ("amax", (ref.TENSOR,)),
    ("cast", (ONE, ref.E4M3)),
    ("quantize", (ref.E4M3, ref.TENSOR)),
    ("quantize_pair", (ref.E4M3, ref.TENSOR, ref.TENSOR)),
]
BAD_INPUTS = [
    (f32(32), "must have 2 dimensions, got [32] Float on cpu; flatten the leading ones"),
    (f32(2, 4, 32), "must have 2 dimensions, got [2, 4, 32] Float on cpu"),
    (MATRIX.int(), "must be float32, bfloat16 or float16, got [4, 32] Int on cpu; convert it"),
    (MATRIX.double(), "must be float32, bfloat16 or float16, got [4, 32] Double on cpu"),
    (fp8(4, 32), "must be float32, bfloat16 or float16, got [4, 32] Float8_e4m3fn on cpu"),
]


def raises(text):
    return pytest.raises(RuntimeError, match=re.escape(text))


@pytest.fixture(params=["cpu", "meta"], autouse=True)
def device(request):
    return request.param


def moved(value, device):
    return value.to(device) if isinstance(value, torch.Tensor) else value


def check(device, name, arguments, text, **keywords):
    """Calls an operator with tensors on a device and expects an error that names the operator."""
    arguments = [moved(a, device) for a in arguments]
    with raises(f"[{name}] " + text.replace(" on cpu", f" on {device}")):
        getattr(ops, name)(*arguments, **keywords)


@pytest.mark.parametrize(("x", "text"), BAD_INPUTS)
@pytest.mark.parametrize(("name", "others"), AS_INPUT)
def test_inputs(name, others, x, text, device):
    check(device, name, (x, *others), "x " + text)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("cast", (MATRIX, ONE, torch.float16)),
        ("quantize", (MATRIX, torch.int8, ref.TENSOR)),
        ("quantize_pair", (MATRIX, torch.bfloat16, ref.TENSOR, ref.TENSOR)),
        ("amax_to_scale", (ONE, torch.float8_e4m3fnuz)),
    ],
)
def test_formats(name, arguments, device):
    check(device, name, arguments, "dtype must be float8_e4m3fn or float8_e5m2, got ")


def test_amax_to_scale_input(device):
    text = "amax must be float32, bfloat16 or float16, got [1, 1] Double on cpu"
    check(device, "amax_to_scale", (ONE.double(), ref.E4M3), text)


def test_blocks(device):
    text = "block must be one of [0, 0], [1, 0] (0: the whole extent), got [0, 1]"
    check(device, "quantize", (MATRIX, ref.E4M3, [0, 1]), text)
    check(device, "quantize_pair", (MATRIX, ref.E4M3, ref.TENSOR, [0, 1]), text)
    check(device, "quantize_pair", (MATRIX, ref.E4M3, [0, 1], ref.TENSOR), text)
    text = "block must be one of [0, 0], [1, 0], [0, 1] (0: the whole extent), got [1, 128]"
    check(device, "amax", (MATRIX, [1, 128]), text)
    with pytest.raises(RuntimeError):  # the schema says int[2]
        ops.amax(MATRIX.to(device), [0, 0, 0])


@pytest.mark.parametrize("scale", [f32(1), f32(4), f32(3, 1), f32(1, 31), f32(4, 32), ONE.half()])
def test_scales(scale, device):
    text = "the scale must be float32 of shape [1, 1], [4, 1] or [1, 32], got ["
    check(device, "cast", (MATRIX, scale, ref.E4M3), text)
    check(device, "dequantize", (fp8(4, 32), scale, torch.float32), text)


@pytest.mark.parametrize(
    ("name", "argument", "others"),
    [
        ("transpose", "data", ()),
        ("dequantize", "data", (ONE, torch.float32)),
        ("scaled_mm", "a", (fp8(8, 32), ONE, ONE)),
    ],
)
def test_fp8_data(name, argument, others, device):
    keywords = {"out_dtype": torch.float32} if name == "scaled_mm" else {}
    text = f"{argument} must be float8_e4m3fn or float8_e5m2, got [4, 32] Float on cpu"
    check(device, name, (MATRIX, *others), text, **keywords)
    text = f"{argument} must have 2 dimensions, got [32] Float8_e4m3fn on cpu"
    check(device, name, (fp8(32), *others), text, **keywords)


def test_result_dtypes(device):
    text = "the result's dtype must be float32, bfloat16 or float16, got "
    check(device, "dequantize", (fp8(4, 32), ONE, torch.float64), text)
    operands = (fp8(4, 32), fp8(8, 32), ONE, ONE)
    check(device, "scaled_mm", operands, text, out_dtype=ref.E4M3)


SCALED_MM = {
    "a and b must have the same K, got A=[4, 32], B=[32, 8]; b is [N, K], not [K, N]": {
        "b": fp8(32, 8)
    },
    "K must be a multiple of 16, got A=[4, 40], B=[8, 40]; pad K to 48": {
        "a": fp8(4, 40),
        "b": fp8(8, 40),
    },
    "at most one operand may be float8_e5m2, got both": {
        "a": fp8(4, 32, format=ref.E5M2),
        "b": fp8(8, 32, format=ref.E5M2),
    },
    "b must be float8_e4m3fn or float8_e5m2, got [8, 32] Float": {"b": f32(8, 32)},
    "b must have 2 dimensions, got [1, 8, 32]": {"b": fp8(1, 8, 32)},
    "scale_inv_a must be float32 of shape [1, 1] or [4, 1], got [8, 1]": {"scale_a": f32(8, 1)},
    "scale_inv_a must be float32 of shape [1, 1] or [4, 1], got [1] Float": {"scale_a": f32(1)},
    "scale_inv_b must be float32 of shape [1, 1] or [8, 1], got [1, 8]": {"scale_b": f32(1, 8)},
    "scale_inv_b must be float32 of shape [1, 1] or [8, 1], got [1, 1] Half": {
        "scale_b": ONE.half()
    },
    "bias must be [8] Float on cpu, got [4] Float on cpu": {"bias": f32(4)},
    "bias must be [8] Float on cpu, got [8, 1] Float on cpu": {"bias": f32(8, 1)},
    "bias must be [8] Float on cpu, got [8] BFloat16 on cpu": {"bias": f32(8).bfloat16()},
}


@pytest.mark.parametrize("text", SCALED_MM)
def test_scaled_mm(text, device):
    operands = {"a": fp8(4, 32), "b": fp8(8, 32), "scale_a": ONE, "scale_b": ONE, "bias": None}
    operands |= SCALED_MM[text]
    check(device, "scaled_mm", operands.values(), text, out_dtype=torch.float32)


@pytest.mark.parametrize("place", range(1, 5))
def test_scaled_mm_devices(place, device):
    other = "meta" if device == "cpu" else "cpu"
    operands = [fp8(4, 32), fp8(8, 32), ONE, ONE, f32(8)]
    operands = [moved(a, other if i == place else device) for i, a in enumerate(operands)]
    with raises("[scaled_mm] ") as error:
        ops.scaled_mm(*operands, out_dtype=torch.float32)
    assert "on cpu" in str(error.value)
    assert "on meta" in str(error.value)


def test_scale_devices(device):
    other = ONE.to("meta" if device == "cpu" else "cpu")
    with raises(f"[cast] the scale must be on {device}, got [1, 1] Float on {other.device}"):
        ops.cast(MATRIX.to(device), other, ref.E4M3)
    with raises(f"[dequantize] the scale must be on {device}, got [1, 1] Float on"):
        ops.dequantize(fp8(4, 32, device=device), other, torch.float32)
