"""What programs do with a sharded model: with FP8 weights it has the bits of a plain all-gather."""

import pytest
import torch
import torch.distributed as dist
from ranks import (
    CONFIGS,
    GATHERED,
    PLAIN,
    Block,
    CollectiveCounter,
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
from torch import nn
from torch.distributed._composable.replicate_with_fsdp import replicate
from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel, fully_shard
from torch.distributed.fsdp.wrap import ModuleWrapPolicy


def adamw(model):
    return torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-2)


def assert_same_losses(run):
    """Runs with a plain all-gather and with FP8; each returns its losses."""
    plain, gathered = (run(config) for config in CONFIGS.values())
    assert gathered == plain
    assert len(set(plain)) > 1


@case(2)
def compiled_as_a_whole(mesh):
    if dist.get_rank() >= 2:
        return  # one pair of ranks is enough: compiling takes long

    def run(config):
        torch._dynamo.reset()
        model = shard(convert(make_model(), config), mesh)
        model.compile(backend="aot_eager")
        return train(model, adamw(model), batches(3), mesh, precompute=True)

    assert_same_losses(run)


@case(2)
def other_optimizers(mesh):
    def matrices(model):
        return [p for p in model.parameters() if p.dim() == 2]

    for make in (
        lambda model: torch.optim.Muon(matrices(model), lr=1e-2),
        lambda model: torch.optim.ASGD(model.parameters(), lr=1e-2),
        lambda model: torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3),
    ):

        def run(config, make=make):
            model = shard(convert(make_model(), config), mesh)
            optimizer, losses = make(model), []

            for x in batches(3):

                def closure(x=x):
                    optimizer.zero_grad()
                    loss = loss_of(model, x)
                    loss.backward()
                    losses.append(loss.item())
                    return loss

                optimizer.step(closure)
                precompute_scales(model)
            return losses

        assert_same_losses(run)


@case(2)
def an_optimizer_in_the_backward_pass(mesh):
    def run(config):
        model = shard(convert(make_model(), config), mesh)
        for parameter in model.parameters():
            optimizer = torch.optim.AdamW([parameter], lr=1e-2)

            def step(_, optimizer=optimizer):
                optimizer.step()
                optimizer.zero_grad()

            parameter.register_post_accumulate_grad_hook(step)
        losses = []
        for x in batches(3):
            losses.append(loss_of(model, x))
            losses[-1].backward()
            precompute_scales(model)
        return torch.stack(losses).tolist()

    assert_same_losses(run)


@case(2)
def a_step_that_is_skipped(mesh):
    def run(config):
        model = shard(convert(make_model(), config), mesh)
        optimizer, scaler = adamw(model), torch.amp.GradScaler("cpu", init_scale=8.0)
        losses = []
        for x, factor in zip(batches(4), (1, torch.inf, 1, 1), strict=True):
            loss = loss_of(model, x)
            scaler.scale(loss * factor).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            precompute_scales(model)
            losses.append(loss.item())
        assert scaler.get_scale() == 4.0
        return losses

    assert_same_losses(run)


@case(2)
def averaged_parameters(mesh):
    """Put in place of the parameters for an evaluation, and out again."""

    def run(config):
        model = shard(convert(make_model(), config), mesh)
        optimizer, losses = adamw(model), []
        average = [p.detach().clone() for p in model.parameters()]
        for x in batches(3):
            losses += train(model, optimizer, [x], mesh, precompute=True)
            parameters = [p.detach() for p in model.parameters()]
            torch._foreach_lerp_(average, parameters, 0.1)
            own = [p.clone() for p in parameters]
            with torch.no_grad():
                for values in (average, own):
                    for parameter, value in zip(model.parameters(), values, strict=True):
                        parameter.data.copy_(value)
                    losses.append(loss_of(model, x).item())
        return losses

    assert_same_losses(run)


@case(2)
def evaluation_between_steps(mesh):
    """Before and after the scales are computed: some weights are unsharded then, some not."""

    def run(config):
        model = shard(convert(make_model(), config), mesh)
        optimizer, losses = adamw(model), []
        for x in batches(3):
            losses += train(model, optimizer, [x], mesh)
            with torch.no_grad():
                losses.append(loss_of(model, x).item())
                precompute_scales(model)
                losses.append(loss_of(model, x).item())
            with torch.inference_mode():
                losses.append(loss_of(model, x).item())
                precompute_scales(model)
        return losses

    assert_same_losses(run)


@case(2)
def scales_computed_at_any_time(mesh):
    def run(config):
        model = convert(make_model(), config)
        precompute_scales(model)
        shard(model, mesh)
        precompute_scales(model[1])
        precompute_scales(model)
        precompute_scales(model)
        return train(model, adamw(model), batches(3), mesh)

    assert_same_losses(run)


@case(2)
def weights_kept_for_the_next_backward_pass(mesh):
    def run(config):
        model = shard(convert(make_model(), config), mesh)
        optimizer, losses = adamw(model), []
        for _ in range(2):
            for i, x in enumerate(batches(3)):
                model.set_requires_gradient_sync(i == 2)
                model.set_reshard_after_backward(i == 2)
                model.set_is_last_backward(i == 2)
                losses.append(loss_of(model, x))
                losses[-1].backward()
            optimizer.step()
            optimizer.zero_grad()
            precompute_scales(model)
            model.set_reshard_after_forward(False)  # in the second step
        return torch.stack(losses).tolist()

    assert_same_losses(run)


@case(2)
def gathered_ahead(mesh):
    """By FSDP2 where it is told to, and by hand."""

    def run(config):
        model = shard(convert(make_model(4), config), mesh)
        blocks = list(model)
        for i, block in enumerate(blocks):
            block.set_modules_to_forward_prefetch(blocks[i + 1 : i + 3])
            block.set_modules_to_backward_prefetch(blocks[max(i - 2, 0) : i][::-1])
        optimizer = adamw(model)
        losses = train(model, optimizer, batches(2), mesh, precompute=True)
        for x in batches(3):
            handles = [module.unshard(async_op=True) for module in (model, *blocks)]
            for handle in handles:
                handle.wait()
            losses += train(model, optimizer, [x], mesh)
        return losses

    assert_same_losses(run)


@case(2)
def weights_on_several_meshes(mesh):
    def run(config, precompute):
        model = convert(make_model(3), config)
        for i, block in enumerate(model):
            fully_shard(block, mesh=mesh_of(1) if i == 1 else mesh)
        losses = train(model, adamw(model), batches(3), precompute=precompute)
        with CollectiveCounter() as counter:
            model(batches(1)[0])
        known = precompute or config is not GATHERED
        assert counter.calls["allreduce_"] == (0 if known else 3 * 2 + 1)
        return losses

    for precompute in (False, True):
        assert_same_losses(lambda config, precompute=precompute: run(config, precompute))


@case(2)
def groups_of_modules_and_parameters_left_out(mesh):
    def run(config):
        model = convert(make_model(), config)
        fully_shard([model[0], model[2]], mesh=mesh)
        fully_shard(model, mesh=mesh, ignored_params={model[1].up.weight})
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, foreach=False)
        return train(model, optimizer, batches(3), precompute=True)

    assert_same_losses(run)


@case(2)
def another_dtype_after_sharding(mesh):
    def run(config):
        model = shard(convert(make_model(), config), mesh)
        precompute_scales(model)
        model.to(torch.bfloat16)
        return train(model, adamw(model), batches(3, torch.bfloat16), mesh, precompute=True)

    assert_same_losses(run)


class Adapted(nn.Module):
    """A frozen layer with two matrices of rank 4 beside it, as LoRA has them."""

    def __init__(self, base):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Linear(base.in_features, 4, bias=False)
        self.b = nn.Linear(4, base.out_features, bias=False)

    def forward(self, x):
        return self.base(x) + self.b(self.a(x))


@case(2, 3)
def adapters_beside_frozen_weights(mesh):
    def run(config):
        model = convert(make_model(), config)
        for i in range(2):
            model[i].up = Adapted(model[i].up)
        shard(model, mesh)
        return train(model, adamw(model), batches(3), mesh, precompute=True)

    assert_same_losses(run)


@case(2)
def other_data_parallelism(mesh):
    """Nothing is gathered as FP8 there; the parameters are FP8 all-gather's all the same."""
    group = mesh.get_group()

    def ddp(model):
        return nn.parallel.DistributedDataParallel(model, process_group=group)

    def fsdp1(model, **options):
        blocks = ModuleWrapPolicy({Block})
        return FullyShardedDataParallel(
            model, group, auto_wrap_policy=blocks, device_id=torch.device("cpu"), **options
        )

    def fsdp1_with_the_models_parameters(model):
        return fsdp1(model, use_orig_params=True)

    def replicated(model):
        for block in model:
            replicate(block, mesh=mesh)
        return replicate(model, mesh=mesh)

    for wrap in (ddp, fsdp1, fsdp1_with_the_models_parameters, replicated):
        for precompute in (False, True):

            def run(config, wrap=wrap, precompute=precompute):
                model = wrap(convert(make_model(), config))
                inputs = batches(3) + mesh.get_local_rank()
                return train(model, adamw(model), inputs, precompute=precompute)

            assert_same_losses(run)


class Scaled(nn.Module):
    """Computes with a layer's weight, as DoRA does."""

    def __init__(self, base):
        super().__init__()
        self.base = base

    def forward(self, x):
        return self.base(x) / self.base.weight.norm()


@case(2)
def what_computes_with_the_values_of_a_weight(mesh):
    def scaled(model):
        model[0].up = Scaled(model[0].up)

    def normalised(model):
        nn.utils.parametrizations.weight_norm(model[0].up)

    for change, error in (
        (scaled, r"norm.*can be read by its Float8Linear only"),
        (normalised, r"ParametrizationList \[80, 32\], which needs its values"),
    ):
        alone = convert(make_model(), PLAIN)
        change(alone)
        expected = train(alone, adamw(alone), batches(3))
        model = convert(make_model(), PLAIN)
        change(model)
        shard(model, mesh)
        assert train(model, adamw(model), batches(3), mesh) == expected
        model = convert(make_model(), GATHERED)
        change(model)
        with pytest.raises(RuntimeError, match=error):
            shard(model, mesh)(batches(1)[0])


@case(2)
def a_layer_called_without_its_module_is_an_error(mesh):
    for config in CONFIGS.values():
        model = shard(convert(make_model(), config), mesh)
        assert isinstance(model[0], FSDPModule)
        with pytest.raises(NotImplementedError, match=r"got a DTensor \(Shard.*as weight \[80, 32"):
            model[0].up(batches(1)[0])
