"""In Inductor's code an activation is not read a second time for its amax.

The code is generated for a CPU and, without one, for a GPU: see inductor_code.py.
"""

import pytest
import torch
from inductor_code import calls, code_of, graphs_of, quantized_tensors, reads
from reference_linear import config_of
from torch import nn

from float8 import Float8Linear

K, N = 512, 1024


def linear(k, n):
    return Float8Linear(k, n, False, dtype=torch.bfloat16, config=config_of("tensorwise"))


class AfterNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.RMSNorm(K, dtype=torch.bfloat16)
        self.linear = linear(K, N)

    def forward(self, x):
        return self.linear(self.norm(x))


class AfterSilu(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = linear(K, N)

    def forward(self, gate, up):
        return self.linear(nn.functional.silu(gate) * up)


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.RMSNorm(K, dtype=torch.bfloat16)
        self.gate, self.up, self.down = linear(K, N), linear(K, N), linear(N, K)

    def forward(self, x):
        y = self.norm(x)
        return x + self.down(nn.functional.silu(self.gate(y)) * self.up(y))


def activations(*shape, count=1):
    return [torch.randn(shape, dtype=torch.bfloat16, requires_grad=True) for _ in range(count)]


@pytest.mark.parametrize(
    ("module", "count", "device"),
    [(AfterNorm, 1, "cuda"), (AfterSilu, 2, "cuda"), (AfterSilu, 2, "cpu")],
)
def test_activation_is_read_by_its_cast_alone(module, count, device):
    forward, _ = graphs_of(module(), *activations(2, 64, K, count=count))
    code = code_of(forward, device)
    activation, weight = quantized_tensors(code)
    assert reads(code, activation) == 0
    assert reads(code, weight) == 1  # the reduction of a tensor that nothing here makes


def test_mlp_on_a_gpu():
    forward, backward = graphs_of(Mlp(), *activations(2, 64, K))
    code = code_of(forward, "cuda")
    tensors = quantized_tensors(code)
    assert len(tensors) == 5  # the norm's result, shared; the product's; three weights
    assert sorted(reads(code, tensor) for tensor in tensors) == [0, 0, 1, 1, 1]
    code = code_of(backward, "cuda")
    tensors = quantized_tensors(code)
    assert len(tensors) == 3  # gradients: of the output, and of gate and up, made in one kernel
    assert [reads(code, tensor) for tensor in tensors[1:]] == [0, 0]


def test_reads_are_seen_where_there_are_some():
    """The counter counts: without fusion each amax is a kernel that reads its tensor."""
    forward, _ = graphs_of(AfterSilu(), *activations(2, 64, K, count=2))
    with torch._inductor.config.patch(max_fusion_size=1):
        for device in ("cpu", "cuda"):
            code = code_of(forward, device)
            assert reads(code, quantized_tensors(code)[1]) == 1
    assert len(calls(forward, "aten.amax")) == 2
