"""The gathered bytes and scales are those of the whole weight; a stale scale is never used."""

import dataclasses
import math

import pytest
import torch
from checks import assert_same, ops
from ranks import (
    GATHERED,
    PLAIN,
    CollectiveCounter,
    assert_same_parameters,
    batches,
    case,
    convert,
    loss_of,
    make_model,
    precompute_scales,
    shard,
    train,
)
from torch import nn
from torch.distributed.fsdp import fully_shard

from float8.fsdp import GatheredFloat8Weight

E4M3 = torch.float8_e4m3fn
#: Rows that 2, 3 and 4 do and do not divide, fewer rows than ranks, columns that need padding.
SHAPES = [(48, 32), (1, 32), (2, 48), (5, 40), (33, 16), (7, 24)]
VALUES = {
    "normal": lambda w: w.normal_(),
    "zeros": lambda w: w.zero_(),
    "NaN in the last row": lambda w: w.normal_()[-1].fill_(math.nan),
    "infinity in the first": lambda w: w.normal_()[0, 0].fill_(math.inf),
    "small": lambda w: w.normal_().mul_(1e-7),
}


def layers_of(dtype, fill, config):
    torch.manual_seed(3)
    model = nn.Sequential(*(nn.Linear(k, n, bias=n > 4) for n, k in SHAPES)).to(dtype)
    with torch.no_grad():
        for layer in model:
            fill(layer.weight)
    return convert(model, dataclasses.replace(config, pad_inner_dim=True))


def assert_same_copies(gathered, whole, power_of_two):
    def copies(weight):
        weight = weight.detach()
        for transpose in (False, True):
            yield from ops.quantize(weight, E4M3, (0, 0), power_of_two, transpose)
        yield from ops.quantize_pair(weight, E4M3, (0, 0), (0, 0), power_of_two)

    for found, expected in zip(copies(gathered), copies(whole), strict=True):
        assert found.dtype == expected.dtype
        if found.dtype == E4M3:
            found, expected = found.view(torch.uint8), expected.view(torch.uint8)
        assert_same(found, expected)


@case(1, 2, 3, 4)
def bytes_of_the_whole_weight(mesh):
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        for name, fill in VALUES.items():
            if dtype == torch.float16 and name != "normal":
                continue
            for power_of_two in (False, True):
                config = dataclasses.replace(GATHERED, round_scales_to_power_of_2=power_of_two)
                whole = layers_of(dtype, fill, PLAIN)
                model = fully_shard(layers_of(dtype, fill, config), mesh=mesh)
                for precompute in (False, True):
                    if precompute:
                        precompute_scales(model)
                    model.unshard()
                    for mine, theirs in zip(model, whole, strict=True):
                        assert isinstance(mine.weight, GatheredFloat8Weight), (dtype, name)
                        assert_same_copies(mine.weight, theirs.weight, power_of_two)
                    model.reshard()


@case(2, 3)
def odd_sizes_train_like_one_process(mesh):
    def make(config):
        torch.manual_seed(3)
        model = nn.Sequential(nn.Linear(32, 5), nn.GELU(), nn.Linear(5, 2), nn.Linear(2, 33))
        return convert(model, dataclasses.replace(config, pad_inner_dim=True))

    alone = make(PLAIN)
    expected = train(alone, torch.optim.SGD(alone.parameters(), lr=0.1), batches(3))
    for precompute in (False, True):
        model = shard(make(GATHERED), mesh)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        assert train(model, optimizer, batches(3), mesh, precompute) == expected
        assert_same_parameters(model, alone)


@case(2, 3)
def power_of_two_trains_like_one_process(mesh):
    alone = convert(make_model(), dataclasses.replace(PLAIN, round_scales_to_power_of_2=True))
    expected = train(alone, torch.optim.SGD(alone.parameters(), lr=0.1), batches(3))
    for precompute in (False, True):
        config = dataclasses.replace(GATHERED, round_scales_to_power_of_2=True)
        model = shard(convert(make_model(), config), mesh)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        assert train(model, optimizer, batches(3), mesh, precompute) == expected


@case(2, 3)
def one_all_reduce_for_all_scales(mesh):
    model = shard(convert(make_model(), GATHERED), mesh)
    layers = 5
    (x,) = batches(1)
    with CollectiveCounter() as without:
        loss_of(model, x).backward()
    assert without.calls["allreduce_"] == 2 * layers  # forward and backward
    with CollectiveCounter() as precompute:
        precompute_scales(model)
    assert precompute.calls == {"allreduce_": 1}
    assert precompute.bytes["allreduce_"] == 4 * layers
    with CollectiveCounter() as after:
        loss_of(model, x).backward()
        loss_of(model, x).backward()
    assert after.calls["allreduce_"] == 0
    assert after.bytes["_allgather_base_"] == 2 * without.bytes["_allgather_base_"]


@case(2, 3)
def half_of_bf16s_bytes(mesh):
    def gathered_bytes(config):
        torch.manual_seed(0)
        model = nn.Sequential(*(nn.Linear(96, 96, bias=False) for _ in range(3)))
        model = shard(convert(model.bfloat16(), config), mesh, reshard_after_forward=True)
        precompute_scales(model)
        with CollectiveCounter() as counter:
            model(torch.randn(4, 96).bfloat16()).sum().backward()
        return counter.bytes["_allgather_base_"]

    values = 2 * 3 * 96 * 96  # forward and backward
    assert gathered_bytes(PLAIN) == 2 * values
    assert gathered_bytes(GATHERED) == values


def sharded_weights(model):
    return [p for n, p in model.named_parameters() if n.endswith("weight") and p.dim() == 2]


@case(2, 3)
def a_change_through_the_parameter_takes_its_scale_away(mesh):
    def multiply(model):
        for weight in sharded_weights(model):
            weight.mul_(7)

    def multiply_data(model):
        for weight in sharded_weights(model):
            weight.data.mul_(7)

    def transposed(model):
        for weight in sharded_weights(model):
            weight.t().mul_(7)

    def of_three_dimensions(model):
        for weight in sharded_weights(model):
            weight.unsqueeze(0).mul_(7)

    def foreach(model):
        torch._foreach_mul_(sharded_weights(model), 7)

    def load(model):
        model.load_state_dict({k: v * 7 for k, v in model.state_dict().items()})

    def initialize(model):
        for weight in sharded_weights(model):
            nn.init.constant_(weight, 7)

    def optimizer_step(model, **options):
        optimizer = torch.optim.AdamW(model.parameters(), lr=7, **options)
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()

    def fused_step(model):
        optimizer_step(model, fused=True)

    def by_address(model):
        class ByAddress(torch.optim.Optimizer):
            def step(self):
                for weight in sharded_weights(model):
                    weight._local_tensor._tensor.numpy()[:] *= 7

        ByAddress(model.parameters(), {}).step()

    def with_empty_shards(config):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(32, 1), nn.Linear(1, 33), nn.Linear(33, 1, bias=False))
        return convert(model, dataclasses.replace(config, pad_inner_dim=True))

    changes = (
        multiply,
        multiply_data,
        transposed,
        of_three_dimensions,
        foreach,
        load,
        initialize,
        optimizer_step,
        fused_step,
        by_address,
    )
    (x,) = batches(1)
    for make in (lambda config: convert(make_model(), config), with_empty_shards):
        for change in changes:
            model = shard(make(GATHERED), mesh)
            for _ in range(2):  # before and after FSDP2's lazy initialisation
                precompute_scales(model)
                with torch.no_grad():
                    change(model)
                    alone = make(PLAIN)
                    for mine, theirs in zip(model.parameters(), alone.parameters(), strict=True):
                        theirs.copy_(mine.full_tensor())
                    assert torch.equal(model(x), alone(x)), change.__name__


@case(2, 3)
def a_write_to_the_own_shard_is_an_error(mesh):
    def through_to_local(weight):
        weight.to_local().mul_(7)

    def through_the_inner_tensor(weight):
        weight._local_tensor._tensor.mul_(7)

    def through_a_view(weight):
        weight.to_local()[:0].mul_(7)

    def another_shard(weight):
        weight._local_tensor = weight._local_tensor.clone()

    for write in (through_to_local, through_the_inner_tensor, through_a_view, another_shard):
        model = shard(convert(make_model(), GATHERED), mesh)
        precompute_scales(model)
        with torch.no_grad():
            write(model[0].down.weight)
        with pytest.raises(RuntimeError, match=r"weight \[32, 80\] was written to.*again"):
            model(batches(1)[0])
        precompute_scales(model)
        model(batches(1)[0])


@case(2, 3)
def nothing_to_do_is_no_error(mesh):
    model = shard(convert(make_model(), PLAIN), mesh)
    with CollectiveCounter() as counter:
        precompute_scales(model)
        precompute_scales(make_model())
        precompute_scales(convert(make_model(), GATHERED))
    assert not counter.calls


@case(2)
def no_value_is_read_on_the_host(mesh):
    model = shard(convert(make_model(), GATHERED), mesh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with CollectiveCounter() as counter:
        for x in batches(2):
            loss_of(model, x).backward()
            optimizer.step()
            precompute_scales(model)
    assert "_local_scalar_dense" not in counter.operators
    assert counter.operators["quantize"] > 0
