"""One layer called by several threads and by worker processes; deterministic algorithms."""

import subprocess
import sys
import threading

import pytest
import torch
from checks import assert_same
from reference_linear import RECIPES, config_of

from float8 import Float8Linear

THREADS, STEPS = 4, 8


def make(name):
    torch.manual_seed(0)
    return Float8Linear(80, 48, config=config_of(name))


def inputs(i):
    return torch.randn(16 + i, 80, generator=torch.Generator().manual_seed(i))


def step(layer, x):
    """Output and gradients, without touching the parameters' own."""
    x = x.clone().requires_grad_()
    output = layer(x)
    return output.detach(), *torch.autograd.grad(output.square().sum(), (x, *layer.parameters()))


@pytest.mark.parametrize("name", RECIPES)
def test_threads_that_share_a_layer(name):
    layer = make(name)
    expected = [step(layer, inputs(i)) for i in range(THREADS)]
    results, errors = {}, []
    start = threading.Barrier(THREADS)

    def work(i):
        try:
            start.wait()
            results[i] = [step(layer, inputs(i)) for _ in range(STEPS)]
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    for i in range(THREADS):
        for result in results[i]:
            for actual, wanted in zip(result, expected[i], strict=True):
                assert_same(actual, wanted)


def test_threads_that_share_a_layer_and_an_input():
    """The copies of an input that layers share are made by whichever thread comes first."""
    layers = [make("tensorwise"), make("rowwise")]
    x = inputs(0)
    expected = [layer(x).detach() for layer in layers]
    results = [[] for _ in range(THREADS)]
    start = threading.Barrier(THREADS)

    def work(i):
        start.wait()
        for _ in range(STEPS):
            results[i].append(layers[i % 2](x).detach())

    threads = [threading.Thread(target=work, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(THREADS):
        assert len(results[i]) == STEPS
        for result in results[i]:
            assert_same(result, expected[i % 2])


WORKER = """
import sys

import torch
from torch import multiprocessing

from float8 import Float8Linear, Float8LinearConfig


def step(layer, x):
    output = layer(x)
    output.square().sum().backward()
    return output.detach().numpy(), *(p.grad.numpy() for p in layer.parameters())


def work(layer, x, queue):
    torch.set_num_threads(1)
    queue.put(step(layer, x))


if __name__ == "__main__":
    layer = Float8Linear(80, 48, config=Float8LinearConfig(emulate=True))
    x = torch.randn(1024, 80)  # more than one thread casts
    expected = step(layer, x)
    layer.zero_grad()
    context = multiprocessing.get_context(sys.argv[1])
    queue = context.Queue()
    worker = context.Process(target=work, args=(layer, x, queue))
    worker.start()
    results = queue.get(timeout=100)
    worker.join()
    assert worker.exitcode == 0
    assert all((a == b).all() for a, b in zip(results, expected, strict=True))
"""


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_workers(how, tmp_path):
    """In a fresh interpreter: a process that forks should have no threads that hold locks."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    run = subprocess.run([sys.executable, script, how], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", RECIPES)
def test_deterministic_algorithms(name):
    layer, x = make(name), inputs(0)
    expected = step(layer, x)
    torch.use_deterministic_algorithms(True)
    try:
        for actual, wanted in zip(step(layer, x), expected, strict=True):
            assert_same(actual, wanted)
    finally:
        torch.use_deterministic_algorithms(False)
