"""What else is done to a model: compiled, checkpointed, measured; and what cannot be done."""

import pytest
import torch
import torch.distributed as dist
from ranks import (
    CONFIGS,
    GATHERED,
    PLAIN,
    CollectiveCounter,
    LiveBytes,
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
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import (
    CheckpointImpl,
    checkpoint_wrapper,
)
from torch.distributed.fsdp import fully_shard

import float8


def trained(config, mesh, prepare=None, precompute=False, inputs=None, **options):
    model = convert(make_model(), config)
    if prepare is not None:
        prepare(model)
    shard(model, mesh, **options)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    return model, train(
        model, optimizer, batches(3) if inputs is None else inputs, mesh, precompute
    )


@case(2, 3)
def activation_checkpointing(mesh):
    expected, losses = trained(PLAIN, mesh)
    for config in CONFIGS.values():
        for implementation in CheckpointImpl:

            def checkpoint(model, implementation=implementation):
                for i in range(2):
                    model[i] = checkpoint_wrapper(model[i], implementation)

            inputs = batches(3).requires_grad_()  # the reentrant kind needs it
            model, found = trained(config, mesh, checkpoint, precompute=True, inputs=inputs)
            assert found == losses
            assert_same_parameters(model, expected)


@case(2)
def compiled_blocks(mesh):
    """The layers compute the same bits; what is between them is the compiler's: so it is a backend
    that compiles nothing, and traces as any other does."""

    if dist.get_rank() >= 2:
        return  # one pair of ranks is enough: compiling takes long

    def compile_block(model):
        model[0].compile(backend="aot_eager", fullgraph=True)

    expected, losses = trained(PLAIN, mesh)
    counters = torch._dynamo.utils.counters
    counters.clear()
    for config in CONFIGS.values():
        model, found = trained(config, mesh, compile_block, precompute=True)
        assert found == losses
        assert_same_parameters(model, expected)
    assert counters["stats"]["unique_graphs"] == 2, counters["stats"]  # no step compiled again


@case(2)
def compiled_optimizer_steps_are_seen(mesh):
    """torch.compile's kernels write below all counters; the hook after a step is what sees them."""

    if dist.get_rank() >= 2:
        return

    def make(config):
        torch.manual_seed(0)
        return shard(convert(nn.Sequential(nn.Linear(32, 48)), config), mesh)

    (x,) = batches(1)
    results = []
    for config in CONFIGS.values():
        torch._dynamo.reset()
        model = make(config)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        optimizer.step = torch.compile(optimizer.step, backend="aot_eager")
        for precompute in (True, False, True):
            if precompute:
                precompute_scales(model)
            loss_of(model, x).backward()
            optimizer.step()
        results.append(model(x))
    assert torch.equal(*results)


@case(2, 3)
def no_copy_of_a_weight_outlives_its_layer(mesh):
    """Measured after each layer's turn, forward and backward: FP8 copies in any part of torch."""
    weight, layers = 96 * 96, 6

    def measured(config, reshard, convert_first=True, twice=False):
        torch.manual_seed(0)
        blocks = (nn.Sequential(nn.Linear(96, 96, bias=False)) for _ in range(layers))
        model = nn.Sequential(*blocks)
        for block in model if twice else ():  # a second layer with the same weight
            block.append(nn.Linear(96, 96, bias=False))
            block[1].weight = block[0].weight
        steps = [
            lambda: convert(model, config),
            lambda: shard(model, mesh, reshard_after_forward=reshard),
        ]
        for step in steps if convert_first else steps[::-1]:
            step()
        x = torch.randn(1, 96, requires_grad=True)  # its copies are small beside a weight's
        forward, backward = [], []
        with LiveBytes() as live:
            for block in model:
                block.register_forward_hook(lambda *_: forward.append(live.now()))
                block.register_full_backward_hook(lambda *_: backward.append(live.now()))
            y = model(x)
            between = live.now()
            y.sum().backward()
            after = live.now()
        assert len(forward) == len(backward) == layers
        return max(forward), between, max(backward), after

    inputs = layers * 16 * 96
    assert max(measured(PLAIN, reshard=True)) == inputs
    assert max(measured(PLAIN, reshard=True, convert_first=False)) == inputs
    assert max(measured(PLAIN, reshard=True, twice=True)) == 2 * inputs
    # Beside the inputs: FSDP2 keeps one layer's bytes as they came until the next layer's are
    # there, and gathers one layer ahead in the backward pass; gloo lets go of a buffer when it can.
    part = -(-96 // mesh.size()) * mesh.size() * 96
    forward, between, backward, after = measured(GATHERED, reshard=True)
    assert max(forward, backward) <= inputs + 3 * part
    assert between <= inputs + part
    assert after <= part
    # Where weights stay unsharded the copies are what was gathered, and no others beside them.
    _, between, _, after = measured(GATHERED, reshard=False)
    assert inputs + layers * weight <= between <= inputs + layers * weight + part
    assert after <= part


@case(2)
def inspection(mesh):
    reports = []
    for config in CONFIGS.values():
        model = shard(convert(make_model(), config), mesh)
        with float8.inspect(model) as report:
            loss_of(model, batches(1)[0]).backward()
        reports.append(report)
    plain, gathered = ({(r.layer, r.operand): r for r in report.rows} for report in reports)
    assert len(plain) == 5 * 3 - 1  # the last is a group of its own, and sharded again by then
    assert {key for key in plain if key[1] != "weight"} == set(gathered)
    assert all(gathered[key] == plain[key] for key in gathered)


@case(2)
def what_needs_unsharded_weights_is_an_error(mesh):
    model = shard(convert(make_model(), GATHERED), mesh)

    def cache():
        with float8.cached_weights(model):
            pass

    with pytest.raises(ValueError, match=r"must be a plain tensor.*up\.weight is a"):
        cache()
    with pytest.raises(ValueError, match="must be a plain tensor"):
        float8.fuse_wgrad_accumulation(model)
    with pytest.raises(ValueError, match=r"must be an ordinary parameter.*DTensor.*before"):
        convert(shard(make_model(), mesh), GATHERED)
    model[0].unshard()
    with pytest.raises(RuntimeError, match=r"aten\.add.*gathered as FP8.*reshard"):
        model[0].up.weight + 1
    model[0].reshard()
    model[0].up.weight.full_tensor().tolist()


@case(2)
def a_replaced_parameter_is_an_error(mesh):
    model = convert(make_model(), GATHERED)
    model[0].up.weight = nn.Parameter(torch.zeros(80, 32))
    with pytest.raises(ValueError, match=r"got another one \[80, 32\].*load_state_dict"):
        shard(model, mesh)


@case(2)
def a_weight_that_others_read_stays_in_high_precision(mesh):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.embed = nn.Embedding(48, 32)
            self.block = nn.Linear(32, 32)
            self.head = nn.Linear(32, 48, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, tokens):
            return self.head(self.block(self.embed(tokens)))

    tokens = torch.arange(8)
    parameters = []
    for config in (None, *CONFIGS.values()):
        model = Tied()
        if config is None:
            convert(model, PLAIN)
        else:
            fully_shard(convert(model, config), mesh=mesh)
            model.set_gradient_divide_factor(1.0)
            model.set_force_sum_reduction_for_comms(True)
        share = 1.0 if config is None or mesh.get_local_rank() == 0 else 0.0
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            (model(tokens).square().mean() * share).backward()
            optimizer.step()
            precompute_scales(model)
        parameters.append(model)
    alone, plain, gathered = parameters
    assert_same_parameters(plain, alone)
    assert_same_parameters(gathered, alone)
    assert not gathered.head.gathers_float8
    assert gathered.block.gathers_float8


@case(2)
def layers_that_share_a_weight(mesh):
    def make(config):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Linear(32, 32, bias=False), nn.GELU(), nn.Linear(32, 32, bias=False)
        )
        model[2].weight = model[0].weight
        return convert(model, config)

    alone = make(PLAIN)
    expected = train(alone, torch.optim.SGD(alone.parameters(), lr=0.1), batches(3))
    model = fully_shard(make(GATHERED), mesh=mesh)
    model.set_gradient_divide_factor(1.0)
    model.set_force_sum_reduction_for_comms(True)
    with CollectiveCounter() as counter:
        found = train(model, torch.optim.SGD(model.parameters(), lr=0.1), batches(3), mesh, True)
    assert found == expected
    assert_same_parameters(model, alone)
    assert counter.calls["allreduce_"] == 1 + 3  # the first gather, then each precompute
    assert counter.bytes["allreduce_"] == 4 * (1 + 3)  # one weight
