"""State dicts hold ordinary tensors, and move between sharded and whole, FP8 and BF16."""

import io
import shutil
import tempfile

import pytest
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from ranks import (
    CONFIGS,
    GATHERED,
    PLAIN,
    assert_same_parameters,
    batches,
    case,
    convert,
    full,
    loss_of,
    make_model,
    mesh_of,
    precompute_scales,
    shard,
    train,
)
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_model_state_dict,
    set_state_dict,
)
from torch.distributed.tensor import DTensor


def sharded(config, mesh, seed=0, dtype=torch.float32):
    return shard(convert(make_model(seed=seed, dtype=dtype), config), mesh)


@case(1, 2, 3)
def a_state_dict_has_the_keys_and_values_of_the_model_before(mesh):
    before = make_model().state_dict()
    model = sharded(GATHERED, mesh)
    early = model.state_dict()
    for _ in range(2):  # before and after the first pass
        state = model.state_dict()
        assert list(state) == list(before)
        for name, tensor in state.items():
            assert type(tensor) is DTensor
            assert type(tensor._local_tensor) is torch.Tensor, name
            assert torch.equal(tensor.full_tensor(), before[name])
        file = io.BytesIO()
        torch.save({name: full(tensor) for name, tensor in state.items()}, file)
        file.seek(0)
        make_model().load_state_dict(torch.load(file, weights_only=True))
        loss_of(model, batches(1)[0])
    for once in (early, state):  # they stay the model's memory
        shard_of = model[0].up.weight.to_local()
        assert once["0.up.weight"]._local_tensor.data_ptr() == shard_of.data_ptr()
    assert type(model.state_dict(keep_vars=True)["0.up.weight"].to_local()) is not torch.Tensor


@case(1, 2, 3)
def torch_save_of_shards(mesh):
    model = sharded(GATHERED, mesh)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    assert b"float8" not in file.getvalue()
    other = sharded(GATHERED, mesh, seed=1)
    for assign in (False, True):
        file.seek(0)
        loaded = torch.load(file, weights_only=True)
        precompute_scales(other)
        other.load_state_dict(loaded, assign=assign)
        assert_same_parameters(other, model)
        (x,) = batches(1)
        assert torch.equal(other(x), model(x))  # and it still gathers FP8:
        other[0].unshard()
        assert type(other[0].up.weight).__name__ == "GatheredFloat8Weight"
        other[0].reshard()
        other = sharded(GATHERED, mesh, seed=1)


def folder(mesh):
    """A folder that all ranks of a mesh know."""
    group = mesh.get_group()
    paths = [tempfile.mkdtemp() if mesh.get_local_rank() == 0 else ""]
    dist.broadcast_object_list(paths, group=group, group_src=0)
    return paths[0]


def remove(path, mesh):
    dist.barrier(mesh.get_group())
    if mesh.get_local_rank() == 0:
        shutil.rmtree(path)


@case(2, 3)
def distributed_checkpoint(mesh):
    """Saved by one kind of run, loaded by another, with the optimizer; both go on alike."""
    options = StateDictOptions()

    def make(config):
        model = sharded(config, mesh, seed=len(made))
        made.append(model)
        return model, torch.optim.AdamW(model.parameters(), lr=1e-2)

    made = []
    for saved_by in CONFIGS.values():
        model, optimizer = make(saved_by)
        train(model, optimizer, batches(2), mesh)
        path = folder(mesh)
        state = dict(zip(("model", "optimizer"), get_state_dict(model, optimizer), strict=True))
        dcp.save(state, checkpoint_id=path, process_group=mesh.get_group())
        assert all(type(t._local_tensor) is torch.Tensor for t in state["model"].values())
        expected = train(model, optimizer, batches(3), mesh, precompute=True)
        for loaded_by in CONFIGS.values():
            other, its_optimizer = make(loaded_by)
            precompute_scales(other)
            state = dict(
                zip(("model", "optimizer"), get_state_dict(other, its_optimizer), strict=True)
            )
            dcp.load(state, checkpoint_id=path, process_group=mesh.get_group())
            set_state_dict(
                other,
                its_optimizer,
                model_state_dict=state["model"],
                optim_state_dict=state["optimizer"],
                options=options,
            )
            assert train(other, its_optimizer, batches(3), mesh, precompute=True) == expected
        remove(path, mesh)


@case(4)
def a_checkpoint_of_another_number_of_ranks(mesh):
    path = folder(mesh)
    model = sharded(GATHERED, mesh, dtype=torch.bfloat16)
    dcp.save(model.state_dict(), checkpoint_id=path)
    for world in (1, 2, 3):
        part = mesh_of(world)
        if part is not None and dist.get_rank() < world:
            other = sharded(GATHERED, part, seed=1, dtype=torch.bfloat16)
            state = other.state_dict()
            dcp.load(state, checkpoint_id=path, process_group=part.get_group(), no_dist=world == 1)
            other.load_state_dict(state)
            precompute_scales(other)
            expected = make_model(dtype=torch.bfloat16)
            assert_same_parameters(other, expected)
            (x,) = batches(1, torch.bfloat16)
            assert torch.equal(other(x), convert(expected, PLAIN)(x))
        dist.barrier()
    remove(path, mesh)


@case(2, 3)
def dcp_load_alone_asks_for_scales(mesh):
    """It writes into the shards behind the parameters: a scale from before is an error."""
    path = folder(mesh)
    model = sharded(GATHERED, mesh)
    dcp.save(model.state_dict(), checkpoint_id=path, process_group=mesh.get_group())
    other = sharded(GATHERED, mesh, seed=1)
    other(batches(1)[0])
    precompute_scales(other)
    dcp.load(other.state_dict(), checkpoint_id=path, process_group=mesh.get_group())
    with pytest.raises(RuntimeError, match=r"precompute_\w+\(model\) again"):
        other(batches(1)[0])
    precompute_scales(other)
    assert torch.equal(other(batches(1)[0]), model(batches(1)[0]))
    state = other.state_dict()
    dcp.load(state, checkpoint_id=path, process_group=mesh.get_group())
    other.load_state_dict(state)  # all ranks know of this one
    assert torch.equal(other(batches(1)[0]), model(batches(1)[0]))
    remove(path, mesh)


@case(4)
def full_state_dicts(mesh):
    """Gathered to one rank, and broadcast from one rank, also into a model on the meta device."""
    gather = StateDictOptions(full_state_dict=True, cpu_offload=True)
    spread = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    before = make_model()
    model = sharded(GATHERED, mesh)
    state = get_model_state_dict(model, options=gather)
    if mesh.get_local_rank() == 0:
        assert all(type(tensor) is torch.Tensor for tensor in state.values())
        make_model(seed=1).load_state_dict(state)
    for device in ("cpu", "meta"):
        other = shard(convert(make_model(seed=1, device=device), GATHERED), mesh)
        if device == "meta":
            other.to_empty(device="cpu")
        set_model_state_dict(other, dict(state), options=spread)
        precompute_scales(other)
        assert_same_parameters(other, before)
        (x,) = batches(1)
        assert torch.equal(other(x), model(x))
