"""What no GPU has confirmed: each claim, with the checks that confirm it.

A check is named by its kind and a pattern:
    cpp:PATTERN         tests of float8_torch_tests, as GoogleTest names them
    py:FILE::TEST       a test in tests/python/cuda
    sanitizer:TOOL      compute-sanitizer's tool, over the list in checks.py
    goal:NAME           a goal of goals.py, reached on every subject that was measured
    holds:BENCHMARK     every record of this benchmark's last run says that it holds
`report.py` writes UNVERIFIED.md from these and the result files. A claim is crossed off when each
of its checks was passed in the last run on a GPU that it is about; a later failure opens it again.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """One claim.

    Args:
        id: for those who refer to it.
        text: what is claimed.
        where: the file that claims it.
        checks: what confirms it; all of them.
        capability: of the GPU that the claim is about; empty: any with FP8.
    """

    id: str
    text: str
    where: str
    checks: tuple[str, ...]
    capability: str = ""


HOPPER = "9.0"
ARITHMETIC = "py:test_device_arithmetic.py::"
PRODUCTS = "py:test_products.py::"
LAYERS = "py:test_layers.py::"
SHARDED = "py:test_fsdp_weights.py::"
CONFORMANCE = ("cpp:Backend/*/Cuda",)

CLAIMS = (
    # Right results.
    Claim(
        "conformance",
        "the CUDA backend gives what the CPU backend gives, by the same suite of tests",
        "README.md",
        CONFORMANCE,
        HOPPER,
    ),
    Claim("emulation", "emulation runs on a GPU", "README.md", ("cpp:Backend/*/CudaEmulated",)),
    Claim("capability-8.9", "the same on compute capability 8.9", "README.md", CONFORMANCE, "8.9"),
    Claim(
        "capability-10.0", "the same on compute capability 10.0", "README.md", CONFORMANCE, "10.0"
    ),
    Claim(
        "device-conversion",
        "`cvt.rn.satfinite` and `cvt.rn.f16x2` agree with `format.h` for every input",
        "kernels/README.md",
        (
            f"{ARITHMETIC}test_every_16_bit_value_is_encoded_as_specified",
            f"{ARITHMETIC}test_float32_is_rounded_once_also_near_ties",
        ),
    ),
    Claim(
        "device-log2",
        "double's `log2` on the device is accurate enough for power-of-two scales",
        "kernels/README.md",
        (f"{ARITHMETIC}test_powers_of_two_are_exact_for_every_exponent",),
    ),
    Claim(
        "no-races",
        "blocks that overtake each other in ways that the host's orders do not show change nothing",
        "kernels/README.md",
        (
            "sanitizer:racecheck",
            "sanitizer:synccheck",
            f"{ARITHMETIC}test_large_tensors_give_the_same_bytes_every_time",
        ),
    ),
    Claim(
        "memory",
        "kernels and products stay within their tensors, and steps do not grow in memory",
        "kernels/README.md",
        ("sanitizer:memcheck", f"{LAYERS}test_steps_do_not_grow_in_memory"),
    ),
    Claim(
        "sums",
        "the error of tensor cores' sums is at most 2^-12 of the sum of \\|a b\\|",
        "tests/cpp/ops/backend.cpp",
        (
            f"{PRODUCTS}test_sums_keep_the_bound_of_the_cpp_tests",
            "cpp:Backend/ScaledMm.IsTheProductInDoubleRoundedOnce/Cuda",
        ),
        HOPPER,
    ),
    Claim(
        "products",
        "cuBLASLt has an algorithm for each product we ask for",
        "README.md",
        (f"{PRODUCTS}test_runs_as_one_product",),
        HOPPER,
    ),
    Claim(
        "products-bias",
        "the same for scales of rows (OUTER_VEC) with a bias",
        "kernels/gemm/README.md",
        (f"{PRODUCTS}test_runs_as_one_product_with_bias",),
        HOPPER,
    ),
    Claim(
        "products-accumulate",
        "the same for scales of rows with a float32 accumulator",
        "kernels/gemm/README.md",
        (f"{PRODUCTS}test_adds_to_an_accumulator_as_one_product",),
        HOPPER,
    ),
    Claim(
        "products-alignment",
        "an algorithm found for 16-byte aligned scales of rows takes others too",
        "kernels/gemm/README.md",
        (f"{PRODUCTS}test_scales_of_rows_need_no_alignment_beyond_a_float",),
        HOPPER,
    ),
    Claim(
        "tuning",
        "algorithms are timed, kept in a file and found again",
        "kernels/gemm/README.md",
        (f"{PRODUCTS}test_algorithms_are_timed_kept_and_found_again",),
    ),
    Claim(
        "graphs",
        "CUDA graphs capture a layer's forward and backward pass",
        "README.md",
        (
            f"{LAYERS}test_is_captured_in_a_graph_and_replayed_on_new_values",
            f"{LAYERS}test_copies_made_before_a_capture_are_not_captured",
        ),
    ),
    Claim(
        "streams",
        "everything runs on the current stream",
        "include/float8/ops.h",
        (
            f"{LAYERS}test_runs_on_the_current_stream",
            f"{LAYERS}test_copies_of_one_stream_are_not_read_in_another",
        ),
    ),
    Claim(
        "compile",
        "compiled by Inductor a layer gives eager mode's bits",
        "README.md",
        (f"{LAYERS}test_compiled_gives_eagers_bits",),
    ),
    Claim(
        "loss-parity",
        "a small Llama trained in FP8 on a GPU ends within the spread of BF16's own seeds",
        "benchmarks/README.md",
        ("holds:loss_parity",),
    ),
    # Speed.
    Claim(
        "casts-speed",
        "kernels move their bytes at 85% of the copy bandwidth",
        "kernels/README.md",
        ("goal:casts.of_copy",),
        HOPPER,
    ),
    Claim(
        "products-speed",
        "products are as fast as `torch._scaled_mm`'s; with scales of rows and without fast "
        "accumulation 1.3 times as fast",
        "README.md",
        ("goal:gemms.tensorwise", "goal:gemms.rowwise"),
        HOPPER,
    ),
    Claim(
        "tuning-speed",
        "trials on a warm L2 choose what is fast on a cold one",
        "kernels/gemm/README.md",
        ("goal:gemms.best_over_first",),
        HOPPER,
    ),
    Claim(
        "layer-speed",
        "a layer is faster than torchao's and near its floor",
        "README.md",
        (
            "goal:layers.compiled",
            "goal:layers.eager",
            "goal:layers.rowwise",
            "goal:layers.of_floor",
        ),
        HOPPER,
    ),
    Claim(
        "gain",
        "layers of Llama 3's sizes gain from FP8, as `auto_filter_small_kn` predicts",
        "src/plan/cost_model.h",
        ("goal:layers.faster_than_bf16",),
        HOPPER,
    ),
    Claim(
        "sharded-weights",
        "FSDP2 gathers FP8 weights on CUDA's streams with the bits of a plain model: two processes "
        "of one GPU (over gloo); in one process NCCL reduces the maxima",
        "python/float8/fsdp/README.md",
        (
            SHARDED + "test_two_processes_gather_from_each_other",
            SHARDED + "test_a_sharded_model_trains_with_the_bits_of_a_plain_one",
        ),
    ),
    Claim(
        "step-speed",
        "a training step is 1.35 times as fast as BF16's",
        "README.md",
        ("goal:step.speed",),
        HOPPER,
    ),
    Claim(
        "step-memory",
        "a step needs no more memory than BF16's, and a block saves less for backward",
        "README.md",
        ("goal:step.memory", "goal:step.saved"),
        HOPPER,
    ),
    Claim(
        "host-time",
        "an eager forward pass costs the host at most twice nn.Linear's time",
        "benchmarks/README.md",
        ("goal:host.forward",),
    ),
)


def checks() -> list[str]:
    """Every check that a claim names, once."""
    return list(dict.fromkeys(check for claim in CLAIMS for check in claim.checks))
