"""fuse_wgrad_accumulation: the weight's gradient goes into a float32 main_grad."""

import copy

import pytest
import torch
from reference_linear import RECIPES, config_of
from torch import nn

import float8


def make_model(recipe="tensorwise", dtype=torch.bfloat16):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 48), nn.GELU(), nn.Linear(48, 16)).to(dtype)
    return float8.convert_to_float8_training(model, config=config_of(recipe))


@pytest.mark.parametrize("recipe", RECIPES)
def test_sums_in_float32(recipe):
    model = make_model(recipe)
    exact = make_model(recipe).float()  # the same casts: its gradients are not rounded
    assert float8.fuse_wgrad_accumulation(model) is model
    inputs = torch.randn(3, 10, 32, dtype=torch.bfloat16)
    layer, wide = model[0], exact[0]
    gradient = torch.randn(10, 48, dtype=torch.bfloat16)
    for x in inputs:
        layer(x).backward(gradient)
        wide(x.float()).backward(gradient.float())
    assert layer.weight.grad is None
    assert layer.weight.main_grad.dtype == torch.float32
    torch.testing.assert_close(layer.weight.main_grad, wide.weight.grad)
    torch.testing.assert_close(layer.bias.grad.float(), wide.bias.grad, rtol=0.02, atol=0.05)


def test_keeps_the_main_grad_that_a_trainer_made():
    model = make_model()
    mine = torch.ones(48, 32)
    model[0].weight.main_grad = mine
    float8.fuse_wgrad_accumulation(model)
    assert model[0].weight.main_grad is mine
    model(torch.randn(4, 32, dtype=torch.bfloat16)).sum().backward()
    assert not torch.equal(mine, torch.ones(48, 32))
    float8.fuse_wgrad_accumulation(model, enabled=False)
    model(torch.randn(4, 32, dtype=torch.bfloat16)).sum().backward()
    assert model[0].weight.grad is not None


def test_a_copied_parameter_has_lost_it():
    model = copy.deepcopy(float8.fuse_wgrad_accumulation(make_model()))
    with pytest.raises(RuntimeError, match=r"carries main_grad \[48, 32\] float32.*again"):
        model(torch.randn(4, 32, dtype=torch.bfloat16))


def test_hooks_would_wait():
    model = float8.fuse_wgrad_accumulation(make_model())
    model[0].weight.register_post_accumulate_grad_hook(lambda _: None)
    with pytest.raises(RuntimeError, match="hooks wait for one"):
        model(torch.randn(4, 32, dtype=torch.bfloat16))


def test_hooks_that_wait_already():
    model = make_model()
    handle = model[0].weight.register_hook(lambda gradient: gradient)
    with pytest.raises(ValueError, match=r"0\.weight has gradient hooks.*one or the other"):
        float8.fuse_wgrad_accumulation(model)
    assert not model[2].fuse_wgrad_accumulation  # all or nothing
    handle.remove()
    assert float8.fuse_wgrad_accumulation(model)[0].fuse_wgrad_accumulation


class Tied(nn.Module):
    """A language model whose head is its embedding."""

    def __init__(self, head):
        super().__init__()
        self.embedding = nn.Embedding(48, 32)
        self.head = head
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        return self.head(self.embedding(tokens))


def test_a_weight_that_another_module_reads_is_refused():
    """The other's part of the gradient would go to weight.grad, and be forgotten there."""
    model = Tied(nn.Linear(32, 48, bias=False))
    float8.convert_to_float8_training(model, config=config_of("tensorwise"))
    with pytest.raises(ValueError, match=r"head\.weight is read by embedding too"):
        float8.fuse_wgrad_accumulation(model)
    assert not model.head.fuse_wgrad_accumulation


def test_layers_that_share_a_weight_both_add_to_it():
    model = nn.Sequential(nn.Linear(32, 32, bias=False), nn.Linear(32, 32, bias=False))
    model[1].weight = model[0].weight
    float8.convert_to_float8_training(model, config=config_of("tensorwise"))
    x = torch.randn(4, 32)
    model(x).sum().backward()
    want = model[0].weight.grad
    model[0].weight.grad = None
    float8.fuse_wgrad_accumulation(model)
    model(x).sum().backward()
    assert model[0].weight.grad is None
    torch.testing.assert_close(model[0].weight.main_grad, want)


@pytest.mark.parametrize("compiled", ["nothing", "the model", "DDP"])
def test_ddp_is_refused(tmp_path, compiled):
    """Compiled too, where the operator does not see the hooks: gradients would not be summed."""
    torch._dynamo.reset()
    model = float8.fuse_wgrad_accumulation(make_model())
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    try:
        if compiled == "the model":
            model = torch.compile(model, backend="aot_eager")
        parallel = nn.parallel.DistributedDataParallel(model)
        if compiled == "DDP":
            parallel = torch.compile(parallel, backend="aot_eager")
        with pytest.raises(RuntimeError, match="DDP"):
            parallel(torch.randn(4, 32, dtype=torch.bfloat16))
    finally:
        torch.distributed.destroy_process_group()


def test_compiled():
    model = float8.fuse_wgrad_accumulation(make_model())
    x = torch.randn(10, 32, dtype=torch.bfloat16)
    model(x).sum().backward()
    want = model[2].weight.main_grad.clone()
    float8.fuse_wgrad_accumulation(model)
    model[2].weight.main_grad.zero_()
    torch._dynamo.reset()
    torch.compile(model, fullgraph=True, backend="aot_eager")(x).sum().backward()
    torch.testing.assert_close(model[2].weight.main_grad, want)


def test_other_linear_layers_are_left_alone():
    model = float8.fuse_wgrad_accumulation(nn.Sequential(nn.Linear(32, 32)))
    assert not hasattr(model[0].weight, "main_grad")
