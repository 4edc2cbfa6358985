"""What the layer refuses, and how it says so."""

import re

import pytest
import torch
from checks import ops
from reference_linear import config_of

from float8 import Float8Linear, Float8LinearConfig

K, N = 32, 48
EMULATED = config_of("tensorwise")


def f32(*shape, device="cpu"):
    return torch.ones(shape, device=device)


def raises(text):
    return pytest.raises(RuntimeError, match=re.escape("[linear] " + text))


BAD_TENSORS = {
    "input must be float32, bfloat16 or float16 with at least 1 dimension, got [4, 32] Int on cpu; "
    "convert it first": {"input": f32(4, K).int()},
    "input must be float32, bfloat16 or float16 with at least 1 dimension, got [4, 32] Double": {
        "input": f32(4, K).double()
    },
    "input must be float32, bfloat16 or float16 with at least 1 dimension, got [] Float": {
        "input": f32()
    },
    "weight must be [N, K] of float32, bfloat16 or float16, got [32] Float": {"weight": f32(K)},
    "weight must be [N, K] of float32, bfloat16 or float16, got [48, 32] Long": {
        "weight": f32(N, K).long()
    },
    "input [..., K] and weight [N, K] must have the same K, got input=[4, 31], weight=[48, 32]": {
        "input": f32(4, 31)
    },
    "input and weight must be on one device, got [4, 32] Float on meta and [48, 32] Float on cpu": {
        "input": f32(4, K, device="meta")
    },
    "input and weight must be on one device, got [4, 32] Float on cpu and [48, 32] Float on meta": {
        "weight": f32(N, K, device="meta")
    },
    "bias must be [48] on cpu, got [32] Float on cpu": {"bias": f32(K)},
    "bias must be [48] on cpu, got [1, 48] Float on cpu": {"bias": f32(1, N)},
    "bias must be [48] on cpu, got [48] Int on cpu": {"bias": f32(N).int()},
    "bias must be [48] on cpu, got [48] Float on meta": {"bias": f32(N, device="meta")},
}


@pytest.mark.parametrize("mode", ["training", "no_grad", "inference"])
@pytest.mark.parametrize("text", BAD_TENSORS)
def test_tensors(text, mode):
    tensors = {"input": f32(4, K), "weight": f32(N, K), "bias": f32(N)} | BAD_TENSORS[text]
    if mode == "training" and tensors["weight"].is_floating_point():
        tensors["weight"] = tensors["weight"].clone().requires_grad_()
    context = {"no_grad": torch.no_grad, "inference": torch.inference_mode}.get(mode)
    with raises(text), context() if context else torch.enable_grad():
        ops.linear(*tensors.values(), *EMULATED._operator_arguments())


def test_integer_input_of_a_module():
    with raises("input must be float32, bfloat16 or float16"):
        Float8Linear(K, N, config=EMULATED)(torch.ones(4, K, dtype=torch.int64))


@pytest.mark.parametrize("context", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_cpu_without_emulation(context):
    layer = Float8Linear(K, N, config=Float8LinearConfig())
    text = "FP8 needs a GPU of compute capability 8.9 or later, got an input on cpu; set emulate"
    with raises(text) as error, context():
        layer(f32(4, K))
    assert "Float8LinearConfig(emulate=True)" in str(error.value)
    assert "`emulate: true`" in str(error.value)


def test_meta_needs_no_emulation():
    layer = Float8Linear(K, N, device="meta", config=Float8LinearConfig())
    assert layer(f32(2, 4, K, device="meta")).shape == (2, 4, N)


def test_second_derivatives():
    layer = Float8Linear(K, N, config=EMULATED)
    x = f32(4, K).requires_grad_()
    text = "FP8 casts have no second derivative, got a backward pass with create_graph=True"
    with raises(text):
        torch.autograd.grad(layer(x).sum(), x, create_graph=True)


ARGUMENTS = list(EMULATED._operator_arguments())


@pytest.mark.parametrize(
    ("place", "value", "text"),
    [
        (0, torch.float16, "dtype must be float8_e4m3fn or float8_e5m2, got Half"),
        (1, torch.int8, "dtype must be float8_e4m3fn or float8_e5m2, got Char"),
        (2, torch.bfloat16, "dtype must be float8_e4m3fn or float8_e5m2, got BFloat16"),
        (3, [0, 0], "output_blocks must be empty or [a_rows, a_inner, b_rows, b_inner], got [0"),
        (4, [0], "grad_input_blocks must be empty or [a_rows, a_inner, b_rows, b_inner], got [0]"),
        (5, [0] * 5, "grad_weight_blocks must be empty or [a_rows, a_inner, b_rows, b_inner]"),
        (3, [0, 0, 0, 1], "block must be one of [0, 0], [1, 0] (0: the whole extent), got [0, 1]"),
        (5, [1, 128, 1, 0], "block must be one of [0, 0], [1, 0] (0: the whole extent), got [1, "),
    ],
)
def test_operator_arguments(place, value, text):
    arguments = [*ARGUMENTS]
    arguments[place] = value
    with raises(text):
        ops.linear(f32(4, K), f32(N, K), None, *arguments)


def test_both_operands_in_e5m2():
    arguments = [*ARGUMENTS]
    arguments[0] = arguments[1] = torch.float8_e5m2
    with pytest.raises(RuntimeError, match="at most one operand may be float8_e5m2, got both"):
        ops.linear(f32(4, K), f32(N, K), None, *arguments)
