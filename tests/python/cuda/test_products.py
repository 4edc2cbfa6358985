"""cuBLASLt: that it has each product we ask for, and how exact its sums are."""

import os
import subprocess
import sys
import warnings

import pytest
import reference
import torch
from checks import ops

E4M3, E5M2 = torch.float8_e4m3fn, torch.float8_e5m2
ROUNDOFF = {torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11, torch.float32: 2.0**-24}
# What the C++ tests assume of Hopper's tensor cores, of the sum of |a b|.
TENSOR_CORES = 2.0**-12


@pytest.fixture
def every_warning():
    """torch says some things once in a process; here they are said each time, and are errors."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    torch.set_warn_always(before)


def operands(device, m, n, k, rows, offset=0):
    """FP8 operands with their scales; `offset` floats before each scale move it off 16 bytes."""
    generator = torch.Generator().manual_seed(m + n + k)
    a, b = (torch.randn(size, k, generator=generator).to(E4M3) for size in (m, n))
    scales = []
    for size in (m, n):
        values = torch.rand(size if rows else 1, 1, generator=generator) + 0.5
        room = torch.zeros(offset + values.numel(), device=device.name)
        room[offset:] = values.flatten().to(device.name)
        scales.append(room[offset:].view(-1, 1))
    return a.to(device.name), b.to(device.name), *scales


def assert_product(got, a, b, scale_a, scale_b, add=None, roundoff=TENSOR_CORES):
    """Within the tensor cores' error of the float64 product, and its rounding."""
    left, right = (
        reference.decode(data.cpu()) * scale.cpu().double()
        for data, scale in ((a, scale_a), (b, scale_b))
    )
    want, size = left @ right.t(), left.abs() @ right.abs().t()
    rounded = want.abs()
    if add is not None:  # what is added may come after a rounding, and is rounded with the sum
        want, size = want + add.cpu().double(), size + add.cpu().double().abs()
        rounded = rounded + want.abs()
    error = (got.cpu().double() - want).abs()
    bound = roundoff * size + ROUNDOFF[got.dtype] * rounded + 1e-30
    assert (error <= bound).all(), f"{(error / bound).max():.2f} of the bound"


SIZES = [(64, 64, 256), (8192, 128, 1040)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("rows", [False, True])
def test_runs_as_one_product(device, every_warning, rows, dtype, fast, size):
    a, b, scale_a, scale_b = operands(device, *size, rows)
    got = ops.scaled_mm(
        a, b, scale_a, scale_b, out_dtype=dtype, use_fast_accum=fast, emulate=device.emulate
    )
    # Fast accumulation keeps 14 bits of each partial sum; the bound of a long sum is looser.
    assert_product(got, a, b, scale_a, scale_b, roundoff=2.0**-10 if fast else TENSOR_CORES)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("rows", [False, True])
def test_runs_as_one_product_with_bias(device, every_warning, rows, dtype):
    a, b, scale_a, scale_b = operands(device, 64, 96, 256, rows)
    bias = torch.randn(96, generator=torch.Generator().manual_seed(1)).to(dtype).to(device.name)
    got = ops.scaled_mm(a, b, scale_a, scale_b, bias, out_dtype=dtype, emulate=device.emulate)
    assert_product(got, a, b, scale_a, scale_b, add=bias)


@pytest.mark.parametrize("rows", [False, True])
def test_adds_to_an_accumulator_as_one_product(device, every_warning, rows):
    a, b, scale_a, scale_b = operands(device, 64, 96, 256, rows)
    before = torch.randn(64, 96, generator=torch.Generator().manual_seed(1)).to(device.name)
    got = before.clone()
    ops.scaled_mm_add_(got, a, b, scale_a, scale_b, emulate=device.emulate)
    assert_product(got, a, b, scale_a, scale_b, add=before)


@pytest.mark.parametrize("offset", [1, 2, 3])
def test_scales_of_rows_need_no_alignment_beyond_a_float(device, every_warning, offset):
    # The plan is made for aligned scales first; their alignment is no part of its key.
    for shift in (0, offset):
        a, b, scale_a, scale_b = operands(device, 128, 192, 512, rows=True, offset=shift)
        got = ops.scaled_mm(
            a, b, scale_a, scale_b, out_dtype=torch.bfloat16, emulate=device.emulate
        )
        assert_product(got, a, b, scale_a, scale_b)


@pytest.mark.parametrize("k", [16, 1024, 16384])
@pytest.mark.parametrize("rows", [False, True])
def test_sums_keep_the_bound_of_the_cpp_tests(device, rows, k):
    if device.emulate and k > 1024:
        pytest.skip("float32 sums of that length are beyond the bound's rounding terms")
    a, b, scale_a, scale_b = operands(device, 128, 128, k, rows)
    got = ops.scaled_mm(a, b, scale_a, scale_b, out_dtype=torch.float32, emulate=device.emulate)
    assert_product(got, a, b, scale_a, scale_b)


TUNING = """
import sys, torch, float8
a, b = (torch.randn(size, 512, device="cuda").to(torch.float8_e4m3fn) for size in (256, 384))
one = torch.ones(1, 1, device="cuda")
out = torch.ops.float8.scaled_mm(a, b, one, one, out_dtype=torch.bfloat16)
expected = a.float() @ b.float().t()
assert (out.float() - expected).norm() <= 2**-7 * expected.norm()
"""


def test_algorithms_are_timed_kept_and_found_again(gpu, tmp_path):
    choices = tmp_path / "choices.txt"
    environment = {**os.environ, "FLOAT8_GEMM_CACHE": str(choices)}

    def run(candidates):
        environment["FLOAT8_GEMM_CANDIDATES"] = candidates
        subprocess.run([sys.executable, "-c", TUNING], env=environment, check=True)
        return choices.read_text()

    chosen = run("8")
    assert len(chosen.splitlines()) == 2, chosen  # the format's name, and one product
    assert run("1") == chosen
