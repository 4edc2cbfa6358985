"""cached_weights: weights are quantized once per step, and never used when stale."""

import copy

import pytest
import torch
from checks import assert_same
from op_counts import counted_ops, quantizations
from reference_linear import RECIPES, config_of
from torch import nn

import float8


def make_model(recipe="tensorwise"):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 48), nn.GELU(), nn.Linear(48, 16))
    return float8.convert_to_float8_training(model, config=config_of(recipe))


def train(model, optimizer, steps=3, microbatches=4):
    torch.manual_seed(1)
    losses = []
    for _ in range(steps):
        for _ in range(microbatches):
            loss = model(torch.randn(10, 32, requires_grad=True)).square().mean()
            loss.backward()
            losses.append(loss.item())
        optimizer.step()
        optimizer.zero_grad()
    return losses


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "foreach": lambda p: torch.optim.AdamW(p, lr=0.01, foreach=True),
    "fused": lambda p: torch.optim.AdamW(p, lr=0.01, fused=True),
    "one by one": lambda p: torch.optim.AdamW(p, lr=0.01, foreach=False),
}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_has_the_same_bits(recipe, optimizer):
    want, got = make_model(recipe), make_model(recipe)
    losses = train(want, OPTIMIZERS[optimizer](want.parameters()))
    with float8.cached_weights(got):
        assert train(got, OPTIMIZERS[optimizer](got.parameters())) == losses
    for name, tensor in want.state_dict().items():
        assert_same(got.state_dict()[name], tensor)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_weight_is_quantized_once_per_step(recipe):
    model = make_model(recipe)
    optimizer = torch.optim.AdamW(model.parameters())
    with float8.cached_weights(model), counted_ops() as counts:
        train(model, optimizer, steps=3, microbatches=4)
    layers, inputs_and_gradients = 2, 2
    assert quantizations(counts) == 3 * layers * (4 * inputs_and_gradients + 1)


class ByAddress(torch.optim.Optimizer):
    """Writes to weights as kernels of other libraries do: torch's version counter stays."""

    def __init__(self, parameters):
        super().__init__(parameters, {})

    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data.sub_(parameter.grad, alpha=0.1)


def test_an_optimizer_that_writes_by_address():
    want, got = make_model(), make_model()
    losses = train(want, ByAddress(want.parameters()))
    with float8.cached_weights(got):
        assert train(got, ByAddress(got.parameters())) == losses


def load_state_dict(model):
    state = {name: torch.randn_like(tensor) for name, tensor in model.state_dict().items()}
    model.load_state_dict(state)


def replace_data(model):
    model[0].weight.data = torch.randn_like(model[0].weight)


def replace_parameter(model):
    model[0].weight = nn.Parameter(torch.randn_like(model[0].weight))


def copy_under_no_grad(model):
    with torch.no_grad():
        model[0].weight.copy_(torch.randn_like(model[0].weight))


@torch.no_grad()
def normalize_compiled(model):
    torch._dynamo.reset()

    def normalize(weight):
        weight.div_(weight.norm(dim=-1, keepdim=True))

    torch.compile(normalize, backend="aot_eager")(model[0].weight)


def write_and_invalidate(model):
    model[0].weight.data.neg_()
    float8.invalidate_cached_weights()


CHANGES = {
    "load_state_dict": load_state_dict,
    "assign": lambda m: m.load_state_dict(
        {name: torch.randn_like(t) for name, t in m.state_dict().items()}, assign=True
    ),
    "data replaced": replace_data,
    "parameter replaced": replace_parameter,
    "copy_": copy_under_no_grad,
    "init": lambda m: nn.init.normal_(m[0].weight),
    "dtype": lambda m: m.bfloat16().float(),
    "vector_to_parameters": lambda m: nn.utils.vector_to_parameters(
        torch.randn(sum(p.numel() for p in m.parameters())), m.parameters()
    ),
    "frozen": lambda m: m.requires_grad_(False),
    "a compiled function": normalize_compiled,
    "invalidated": write_and_invalidate,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_weight_is_quantized_again(change):
    model = make_model()
    x = torch.randn(10, 32)
    with float8.cached_weights(model):
        model(x).sum().backward()
        CHANGES[change](model)
        got = model(x)
    assert_same(got, copy.deepcopy(model)(x))


def flat_buffer_of(weight):
    flat = torch.randn(weight.numel())
    weight.data = flat.view(weight.shape)
    return flat


UNSEEN = {
    "data": lambda weight: weight.data.neg_,
    "numpy": lambda weight: lambda: weight.detach().numpy().__imul__(-1),
    "a flat buffer": lambda weight: flat_buffer_of(weight).neg_,
}


@pytest.mark.parametrize("way", UNSEEN)
def test_writes_that_go_around_torch_are_the_users_to_tell(way):
    """What the documentation warns of, so that it stays true."""
    model = make_model()
    x = torch.randn(10, 32)
    write = UNSEEN[way](model[0].weight)
    with float8.cached_weights(model):
        model(x)
        write()
        stale = model(x)
        float8.invalidate_cached_weights()
        assert not torch.equal(stale, model(x))


def test_tensors_cannot_be_swapped_meanwhile():
    model = make_model()
    x = torch.randn(10, 32)
    with float8.cached_weights(model):
        model(x)
        with pytest.raises(RuntimeError, match="weakrefs"):
            torch.utils.swap_tensors(model[0].weight, nn.Parameter(torch.randn(48, 32)))


def test_an_exception_ends_it():
    model = make_model()
    with pytest.raises(ZeroDivisionError), float8.cached_weights(model):
        raise ZeroDivisionError
    with counted_ops() as counts:
        model(torch.randn(10, 32))
        model(torch.randn(10, 32))
    assert quantizations(counts) == 8


def test_a_model_without_fp8_layers():
    with float8.cached_weights(nn.Linear(4, 4)):
        pass


class Sharded(torch.Tensor):
    """Stands for DTensor: a subclass whose memory is another's business."""


def test_sharded_weights_are_refused():
    model = make_model()
    model[2].weight = nn.Parameter(model[2].weight.detach().as_subclass(Sharded))
    with (
        pytest.raises(ValueError, match=r"2\.weight is a Sharded.*leave sharded models uncached"),
        float8.cached_weights(model),
    ):
        pass


def test_fsdp_is_refused():
    class FullyShardedDataParallel(nn.Sequential):
        pass

    with (
        pytest.raises(ValueError, match="the model is a FullyShardedDataParallel"),
        float8.cached_weights(FullyShardedDataParallel(make_model())),
    ):
        pass


def test_compiled_models_go_without():
    """A graph cannot see whether a weight changed: it quantizes in each call, cache or not."""
    want, got = make_model(), make_model()
    losses = train(want, torch.optim.SGD(want.parameters(), lr=0.1), microbatches=2)
    torch._dynamo.reset()
    with float8.cached_weights(got):
        compiled = torch.compile(got, backend="aot_eager")
        optimizer = torch.optim.SGD(got.parameters(), lr=0.1)
        assert train(compiled, optimizer, microbatches=2) == losses
