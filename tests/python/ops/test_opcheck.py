"""torch.library.opcheck of every operator: schema, autograd, fake tensors, tracing."""

import pytest
import reference as ref
import torch
from checks import ops
from reference_linear import MIXED, RECIPES, config_of

X = torch.randn(7, 40)
ONE = torch.ones(1, 1)


def data(rows: int, columns: int, format=ref.E4M3) -> torch.Tensor:
    return torch.randn(rows, columns).to(format)


CASES = {
    "amax": [(X, ref.TENSOR), (X, ref.ROW), (X.bfloat16().t(), ref.COLUMN)],
    "amax_to_scale": [(X.abs(), ref.E4M3), (X.abs().half(), ref.E5M2, True)],
    "cast": [(X, ONE, ref.E4M3), (X, torch.ones(7, 1), ref.E5M2, True)],
    "quantize": [
        (X, ref.E4M3, ref.TENSOR),
        (X.bfloat16(), ref.E5M2, ref.ROW, True, True),
        (X, ref.E4M3, ref.ROW, False, True, torch.zeros(3)),
        (X, ref.E4M3, ref.TENSOR, False, False, None, X.abs().amax((0, 1), keepdim=True)),
    ],
    "quantize_pair": [
        (X, ref.E4M3, ref.TENSOR, ref.TENSOR),
        (X, ref.E5M2, ref.ROW, ref.TENSOR),
        (X, ref.E4M3, ref.TENSOR, ref.TENSOR, True, X.abs().amax((0, 1), keepdim=True)),
    ],
    "transpose": [(data(7, 40),), (data(16, 3, ref.E5M2),)],
    "dequantize": [(data(7, 40), ONE, torch.bfloat16)],
    "cast_error": [(X, ONE, ref.E4M3), (X.half(), torch.ones(7, 1), ref.E5M2)],
    "cast_health": [(X, ref.E4M3, False, True, 3), (X.half(), ref.E5M2, True, False, 99)],
    "scaled_mm": [
        (data(7, 32), data(20, 32), ONE, ONE),
        (data(7, 32), data(20, 32), torch.ones(7, 1), torch.ones(20, 1), torch.ones(20)),
    ],
    "scaled_mm_add_": [(torch.ones(7, 20), data(7, 32), data(20, 32), ONE, ONE)],
}


@pytest.fixture(autouse=True)
def _allclose_of_fp8(monkeypatch):
    """opcheck compares arguments with torch.allclose, which torch does not have for FP8."""
    allclose = torch.allclose

    def compare(a, b, *args, **keywords):
        if a.dtype in ref.FORMATS:
            return torch.equal(a.view(torch.uint8), b.view(torch.uint8))
        return allclose(a, b, *args, **keywords)

    monkeypatch.setattr(torch, "allclose", compare)


OPERATORS = [(name, i) for name, cases in CASES.items() for i in range(len(cases))]


@pytest.mark.parametrize(("name", "i"), OPERATORS)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_leaf_operators(name, i, requires_grad):
    arguments = [
        a.clone().requires_grad_() if requires_grad and a is X else a for a in CASES[name][i]
    ]
    keywords = {"out_dtype": torch.float32} if name == "scaled_mm" else {}
    torch.library.opcheck(getattr(ops, name).default, arguments, keywords)


LAYOUTS = {
    "transposed": lambda x: x.t().contiguous().t(),
    "every other column": lambda x: torch.stack([x, x], 2).flatten(1)[:, ::2],
    "expanded": lambda x: x[:1].expand(x.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ref.HIGH_PRECISION)
@pytest.mark.parametrize("name", ["amax", "cast", "quantize", "quantize_pair"])
def test_dtypes_and_layouts(name, dtype, layout):
    x = LAYOUTS[layout](X.to(dtype))
    assert not x.is_contiguous()
    for case in CASES[name]:
        # A known amax has its tensor's dtype.
        rest = [
            a.to(dtype) if torch.is_tensor(a) and a.shape == (1, 1) and i > 3 else a
            for i, a in enumerate(case)
        ]
        torch.library.opcheck(getattr(ops, name).default, [x, *rest[1:]])


@pytest.mark.parametrize("dtype", ref.HIGH_PRECISION)
def test_products_of_any_layout(dtype):
    a, b = (LAYOUTS["transposed"](data(rows, 32)) for rows in (7, 20))
    options = {"out_dtype": dtype}
    torch.library.opcheck(
        ops.scaled_mm.default, [a, b, ONE, ONE, torch.ones(20).to(dtype)], options
    )
    torch.library.opcheck(ops.dequantize.default, [a, torch.ones(1, 32), dtype])


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("name", [*RECIPES, *MIXED])
def test_linear(name, requires_grad):
    def tensor(*shape):
        return torch.randn(shape, requires_grad=requires_grad)

    operator_arguments = config_of(name)._operator_arguments()
    for bias in (None, tensor(32)):
        arguments = (tensor(2, 5, 48), tensor(32, 48), bias, *operator_arguments)
        torch.library.opcheck(ops.linear.default, arguments)


@pytest.mark.parametrize("requires_grad", [False, True])
def test_linear_into_a_main_grad(requires_grad):
    x, weight = (torch.randn(*shape, requires_grad=requires_grad) for shape in ((7, 48), (32, 48)))
    main_grad = torch.zeros(32, 48)
    arguments = (x, weight, None, *config_of("tensorwise")._operator_arguments(), main_grad)
    # Not AOTAutograd's check where there is a gradient: it traces with clones, and a main_grad goes
    # with autograd's leaves alone. tests/python/nn/test_main_grad.py compiles a layer that has one.
    checks = ["test_schema", "test_autograd_registration", "test_faketensor"]
    traced = [] if requires_grad else ["test_aot_dispatch_dynamic"]
    torch.library.opcheck(ops.linear.default, arguments, test_utils=[*checks, *traced])


def test_every_operator_is_here():
    names = {
        schema.name.split("::")[1]
        for schema in torch._C._jit_get_all_schemas()
        if schema.name.startswith("float8::")
    }
    switches = {"cache_weights", "release_weights", "invalidate_cached_weights"}  # in no graph
    assert names == {*CASES, "linear", *switches}


@pytest.mark.parametrize("format", ref.FORMATS)
def test_results_of_leaves_require_no_gradient(format):
    """The engine would cast the gradient of an FP8 tensor to FP8."""
    x = torch.randn(7, 32, requires_grad=True)
    results = [
        ops.amax(x, ref.ROW),
        ops.amax_to_scale(ops.amax(x, ref.ROW), format),
        ops.cast(x, ONE, format),
        *ops.quantize(x, format, ref.ROW),
        *ops.quantize_pair(x, format, ref.ROW, ref.TENSOR),
    ]
    assert not any(result.requires_grad for result in results)
