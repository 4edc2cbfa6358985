"""What programs do to a converted model beside training it: the right numbers, or an error."""

import copy

import pytest
import torch
from checks import assert_same
from reference_linear import config_of
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

import float8
from float8 import Float8Linear

CONFIG = config_of("tensorwise")


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


def make_model():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 48), nn.GELU(), nn.Linear(48, 16))
    return float8.convert_to_float8_training(model, config=CONFIG)


def results(layer, x):
    """The output, the input's gradient, and the gradients of the layer's own parameters."""
    layer.zero_grad()
    x = x.detach().requires_grad_()
    output = layer(x)
    output.square().sum().backward()
    return output.detach(), x.grad, [p.grad for p in layer.parameters()]


def plain(layer):
    """A layer whose weight is a parameter of the values that `layer` has made."""
    other = Float8Linear(32, 48, config=CONFIG)
    other.weight = nn.Parameter(layer.weight.detach().clone())
    other.bias = nn.Parameter(layer.bias.detach().clone())
    return other


WEIGHTS_OF_OTHERS = {
    "parametrization": lambda m: parametrize.register_parametrization(m, "weight", Doubled()),
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "spectral_norm by a hook": nn.utils.spectral_norm,
    "pruning": lambda m: prune.l1_unstructured(m, "weight", 0.5),
}


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("how", WEIGHTS_OF_OTHERS)
def test_a_weight_that_is_made_of_other_parameters(how, cached):
    layer = Float8Linear(32, 48, config=CONFIG)
    WEIGHTS_OF_OTHERS[how](layer)
    layer.eval()  # spectral_norm's vectors stay
    x = torch.randn(5, 32)
    users = [layer] if cached else []
    with float8.cached_weights(nn.ModuleList(users)):
        for _ in range(2):
            *got, gradients = results(layer, x)
            *want, _ = results(plain(layer), x)
            for a, b in zip(got, want, strict=True):
                assert_same(a, b)
            assert all(gradient is not None for gradient in gradients)
            with torch.no_grad():
                for parameter in layer.parameters():
                    parameter.mul_(torch.rand_like(parameter) + 0.5)


def test_an_average_of_models():
    model = make_model()
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.5)
    )
    x = torch.randn(5, 32)
    with float8.cached_weights(average):
        for _ in range(3):
            average.update_parameters(model)
            got = average(x)
            assert_same(got, copy.deepcopy(average)(x))
            with torch.no_grad():
                model[0].weight.mul_(1.7)
        assert not torch.equal(average.module[0].weight, model[0].weight)


def test_conversion_of_a_model_that_was_compiled():
    torch._dynamo.reset()
    model = nn.Sequential(nn.Linear(32, 48))
    compiled = torch.compile(model, backend="aot_eager")
    x = torch.randn(5, 32)
    before = compiled(x)
    float8.convert_to_float8_training(compiled, config=CONFIG)
    assert_same(compiled(x), model(x))
    assert not torch.equal(compiled(x), before)


def test_torchaos_quantization_is_refused():
    torchao = pytest.importorskip("torchao.quantization")
    model = make_model()
    torchao.quantize_(model, torchao.Int8WeightOnlyConfig())
    with pytest.raises(NotImplementedError, match=r"float8\.quantize"):
        model(torch.randn(5, 32))


@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated")
def test_torch_ao_leaves_converted_layers_alone():
    quantization = pytest.importorskip("torch.ao.quantization")
    model = make_model()
    quantized = quantization.quantize_dynamic(model, {nn.Linear})
    x = torch.randn(5, 32)
    assert isinstance(quantized[0], Float8Linear)
    assert_same(quantized(x), model(x))


def test_ddp_has_the_gradients_of_the_model_alone(tmp_path):
    model, x = make_model(), torch.randn(5, 32)
    *_, want = results(model, x)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    try:
        parallel = nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
        *_, got = results(parallel, x)
    finally:
        torch.distributed.destroy_process_group()
    for a, b in zip(got, want, strict=True):
        assert_same(a, b)


def test_a_negative_view():
    """A negative view keeps its sign in a dispatch key and not in its values."""
    layer = Float8Linear(32, 48, config=CONFIG)
    x = torch.randn(5, 32, dtype=torch.complex64).conj().imag
    assert x.is_neg()
    assert_same(layer(x), layer(x.resolve_neg().clone()))
