"""Sharded training has the bits of one process, and of an all-gather in high precision."""

import pytest
import torch
from ranks import (
    CONFIGS,
    GATHERED,
    PLAIN,
    CollectiveCounter,
    assert_same_parameters,
    batches,
    case,
    convert,
    loss_of,
    make_model,
    mesh_of,
    precompute_scales,
    shard,
    train,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, fully_shard

OPTIMIZERS = {
    "AdamW, fused": lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=0.1, fused=True),
    "AdamW, foreach": lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=0.1, foreach=True),
    "AdamW, loop": lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=0.1, foreach=False),
    "SGD": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, weight_decay=0.1),
}


def train_sharded(config, mesh, precompute=False, optimizer="AdamW, foreach", clip=None, **options):
    model = shard(convert(make_model(), config), mesh, **options)
    losses = train(
        model, OPTIMIZERS[optimizer](model.parameters()), batches(3), mesh, precompute, clip
    )
    return model, losses


@case(1, 2, 3, 4)
def equals_one_process(mesh):
    make = OPTIMIZERS["AdamW, foreach"]
    alone = convert(make_model(), PLAIN)
    expected = train(alone, make(alone.parameters()), batches(3))
    for precompute in (False, True):
        model, losses = train_sharded(GATHERED, mesh, precompute)
        assert losses == expected
        assert_same_parameters(model, alone)


@case(2, 3, 4)
def optimizers(mesh):
    # Not against one process: torch's fused kernel rounds the ends of a shard in another way.
    for optimizer in OPTIMIZERS:
        expected, losses = train_sharded(PLAIN, mesh, optimizer=optimizer)
        for precompute in (False, True):
            model, found = train_sharded(GATHERED, mesh, precompute, optimizer)
            assert found == losses, optimizer
            assert_same_parameters(model, expected)


@case(2, 3)
def equals_one_process_with_an_optimizer_from_before(mesh):
    alone = convert(make_model(), PLAIN)
    expected = train(alone, torch.optim.SGD(alone.parameters(), lr=0.1), batches(2))
    model = make_model()
    before = list(model.parameters())
    convert(model, GATHERED)
    assert all(a is b for a, b in zip(before, model.parameters(), strict=True))
    shard(model, mesh)
    assert train(model, torch.optim.SGD(model.parameters(), lr=0.1), batches(2), mesh) == expected


@case(2, 3)
def conversion_after_sharding(mesh):
    results = []
    for convert_first in (True, False):
        model = make_model()
        if convert_first:
            convert(model, PLAIN)
        for block in model[:2]:
            fully_shard(block, mesh=mesh)
        fully_shard(model, mesh=mesh)
        if not convert_first:
            convert(model, PLAIN)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        results.append(train(model, optimizer, batches(3), mesh))
    assert results[0] == results[1]


@case(2, 3)
def clipping_equals_plain_all_gather(mesh):
    expected, losses = train_sharded(PLAIN, mesh, clip=0.01)
    model, found = train_sharded(GATHERED, mesh, True, clip=0.01)
    assert found == losses
    assert_same_parameters(model, expected)


@case(2, 3)
def reshard_after_forward(mesh):
    expected, losses = train_sharded(PLAIN, mesh)
    for config in CONFIGS.values():
        for reshard in (True, False):
            model, found = train_sharded(config, mesh, reshard_after_forward=reshard)
            assert found == losses
            assert_same_parameters(model, expected)


@case(4)
def reshard_to_a_number(mesh):
    expected, losses = train_sharded(PLAIN, mesh)
    model, found = train_sharded(PLAIN, mesh, reshard_after_forward=2)
    assert found == losses
    assert_same_parameters(model, expected)
    message = r"reshard_after_forward must be true or false, got 2 \(of 4 ranks\)"
    with pytest.raises(ValueError, match=message):
        train_sharded(GATHERED, mesh, reshard_after_forward=2)
    train_sharded(GATHERED, mesh, reshard_after_forward=4)  # all ranks: the same as True


@case(4)
def hybrid_sharding(mesh):
    two_by_two = init_device_mesh("cpu", (2, 2), mesh_dim_names=("replicate", "shard"))
    expected, losses = train_sharded(PLAIN, mesh_of(2))
    for config in CONFIGS.values():
        for precompute in (False, True):
            model = shard(convert(make_model(), config), two_by_two)
            first = list(two_by_two.get_coordinate()) == [0, 0]
            optimizer = OPTIMIZERS["AdamW, foreach"](model.parameters())
            found = train(model, optimizer, batches(3), _Only(first), precompute)
            assert found == losses
            assert_same_parameters(model, expected)
            with CollectiveCounter() as counter:  # over one replica's ranks, not across the hosts
                precompute_scales(model)
            assert counter.calls == ({"allreduce_": 1} if config is GATHERED else {})


class _Only:
    """Stands for a mesh of which this rank is the first, or not."""

    def __init__(self, first):
        self.first = first

    def get_local_rank(self):
        return 0 if self.first else 1


@case(2, 3)
def accumulation_without_synchronisation(mesh):
    def accumulate(config, precompute):
        model = shard(convert(make_model(), config), mesh)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        for _ in range(2):
            for i, x in enumerate(batches(3)):
                model.set_requires_gradient_sync(i == 2)
                loss_of(model, x + mesh.get_local_rank()).backward()
            optimizer.step()
            optimizer.zero_grad()
            if precompute:
                precompute_scales(model)
        return model

    expected = accumulate(PLAIN, False)
    assert_same_parameters(accumulate(GATHERED, False), expected)
    assert_same_parameters(accumulate(GATHERED, True), expected)


@case(2, 3)
def mixed_precision(mesh):
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    model, losses = train_sharded(GATHERED, mesh, mp_policy=policy)
    again, found = train_sharded(GATHERED, mesh, True, mp_policy=policy)
    assert found == losses
    assert_same_parameters(again, model)
    assert all(p.dtype == torch.float32 for p in model.parameters())
    _, plain = train_sharded(PLAIN, mesh, mp_policy=policy)
    torch.testing.assert_close(losses, plain, rtol=0.05, atol=0)  # it rounds weights to BF16 first
    bf16 = [
        train(
            shard(m := convert(make_model(dtype=torch.bfloat16), config), mesh),
            torch.optim.AdamW(m.parameters(), lr=1e-2),
            batches(3, torch.bfloat16),
            mesh,
        )
        for config in (PLAIN, GATHERED)
    ]
    assert bf16[0] == bf16[1]


@case(2, 3)
def cpu_offload(mesh):
    expected, losses = train_sharded(PLAIN, mesh)
    policy = CPUOffloadPolicy(pin_memory=False)
    for config in CONFIGS.values():
        model, found = train_sharded(config, mesh, True, offload_policy=policy)
        assert found == losses
        assert_same_parameters(model, expected)


@case(2, 3)
def meta_device(mesh):
    expected, losses = train_sharded(PLAIN, mesh)
    values = make_model().state_dict()
    for config in CONFIGS.values():
        model = shard(convert(make_model(device="meta"), config), mesh)
        model.to_empty(device="cpu")
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                chunk = torch.chunk(values[name], mesh.size())
                rank = mesh.get_local_rank()
                if rank < len(chunk):
                    parameter.to_local().copy_(chunk[rank])
        precompute_scales(model)  # before FSDP2 has padded the new shards
        optimizer = OPTIMIZERS["AdamW, foreach"](model.parameters())
        assert train(model, optimizer, batches(3), mesh, precompute=True) == losses
        assert_same_parameters(model, expected)


@case(2)
def shards_of_columns(mesh):
    from torch.distributed.tensor import Shard

    def by_columns(parameter):
        return Shard(1) if parameter.dim() == 2 else None

    expected, losses = train_sharded(PLAIN, mesh)
    for precompute in (False, True):
        model, found = train_sharded(GATHERED, mesh, precompute, shard_placement_fn=by_columns)
        assert found == losses
        assert_same_parameters(model, expected)


@case(2)
def evaluation(mesh):
    model = shard(convert(make_model(), GATHERED), mesh)
    alone = convert(make_model(), PLAIN)
    (x,) = batches(1)
    with torch.no_grad():
        assert torch.equal(model(x), alone(x))
    with torch.inference_mode():
        assert torch.equal(model(x), alone(x))
    mine, theirs = (torch.optim.SGD(m.parameters(), lr=0.1) for m in (model, alone))
    assert train(model, mine, batches(2), mesh) == train(alone, theirs, batches(2))


@case(2)
def frozen_weights(mesh):
    def train_norms(config):
        model = convert(make_model(), config)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_("norm" in name)
        shard(model, mesh)
        train(model, torch.optim.SGD(model.parameters(), lr=0.1), batches(2), mesh)
        return model

    assert_same_parameters(train_norms(GATHERED), train_norms(PLAIN))
