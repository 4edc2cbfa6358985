"""`float8 plan`'s figures against what is really held, saved and cut."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore

import float8
from float8.train import estimate
from float8.train.config.settings import load_settings
from float8.train.estimate import Layout, Unit
from float8.train.model import build_model, meta_model, read_model_config
from float8.train.optim import state_bytes
from float8.train.processes.ranks import Ranks
from float8.train.processes.shard import make_mesh, shard_model

RECIPES = [
    None,
    ("tensorwise", False),
    ("tensorwise", True),
    ("rowwise", False),
    ("rowwise_with_gw_hp", False),
]


def settings_of(config, **overrides):
    return load_settings(
        str(config), [(name.replace("__", "."), v) for name, v in overrides.items()]
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_one_process_holds_what_was_predicted(config, recipe, dtype):
    name, recompute = recipe or ("tensorwise", False)
    settings = settings_of(
        config,
        model__torch_dtype=dtype,
        fp8__recipe_name=name,
        fp8__force_recompute_fp8_weight_in_bwd=str(recompute).lower(),
    )
    model_config = read_model_config(settings)
    model = build_model(settings, model_config, torch.device("cpu"))
    if recipe:
        model = float8.convert_to_float8_training(model, config=settings.fp8)
    units = estimate.units_of(settings, model, fp8_all_gather=False)
    predicted = estimate.memory_of(settings, model_config, units, Layout(1), 32, fp8=bool(recipe))

    saved: dict[int, torch.UntypedStorage] = {}
    fp8 = set()
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage
            if tensor.dtype.itemsize == 1 and tensor.is_floating_point():
                fp8.add(storage.data_ptr())
        return tensor

    optimizer = torch.optim.AdamW(model.parameters())
    tokens = torch.zeros(2, 32, dtype=torch.long)
    positions = torch.arange(32).remainder(20).expand(2, 32)  # two documents in a row
    mixed = torch.autocast("cpu", torch.bfloat16, enabled=dtype == "float32")
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        with mixed:
            logits = model(input_ids=tokens, position_ids=positions, use_cache=False).logits
        forward = sum(storage.nbytes() for storage in saved.values())
        loss = torch.nn.functional.cross_entropy(
            logits.float().flatten(0, 1), tokens.flatten(), reduction="sum"
        )
    everything = sum(storage.nbytes() for storage in saved.values())
    copies = sum(saved[key].nbytes() for key in fp8)
    loss.backward()
    optimizer.step()

    assert predicted.weights == sum(p.nbytes for p in model.parameters())
    assert predicted.gradients == sum(p.grad.nbytes for p in model.parameters())
    states = [value for state in optimizer.state.values() for value in state.values()]
    assert predicted.optimizer == sum(value.nbytes for value in states if value.dim())
    assert predicted.saved.fp8_copies == copies
    assert (copies > 0) == bool(recipe)
    assert predicted.saved.activations == forward - copies
    assert predicted.saved.loss == everything - forward
    assert predicted.gathered == 0


@pytest.fixture
def group():
    """A process group without other processes: what a rank holds and gathers needs none."""

    def start(rank, world):
        dist.init_process_group("fake", rank=rank, world_size=world, store=FakeStore())
        return init_device_mesh("cpu", (world,), mesh_dim_names=("dp_shard",))

    yield start
    dist.destroy_process_group()


@pytest.mark.parametrize(
    ("replicas", "shape"), [("null", (4,)), ("1", (4,)), ("2", (2, 2)), ("4", (4, 1))]
)
def test_the_ranks_in_rows_of_one_copy(config, group, replicas, shape):
    group(0, 4)
    settings = settings_of(config, distributed__dp_replicate_size=replicas)
    mesh = make_mesh(settings, Ranks(0, 4), torch.device("cpu"))
    assert mesh.shape == shape
    assert mesh.mesh_dim_names == ("dp_replicate", "dp_shard")[-len(shape) :]


@pytest.mark.parametrize("world", [3, 8, 512])  # 3 divides no size of the model
def test_the_first_rank_holds_what_fsdp2_gives_it(config, group, world):
    settings = settings_of(config)
    model_config = read_model_config(settings)
    units = estimate.units_of(settings, meta_model(settings, model_config), False)
    model = meta_model(settings, model_config).to(torch.bfloat16)
    shard_model(model, settings, group(0, world))
    held = 0
    gathered = {}
    for parameter in model.parameters():
        assert isinstance(parameter, DTensor)
        held += parameter.to_local().nbytes
    for name, module in model.named_modules():
        state = getattr(module, "_get_fsdp_state", None)
        if state is not None:
            params = state()._fsdp_param_group.fsdp_params
            gathered[name or "the rest"] = world * sum(
                p.padded_sharded_param_size.numel() * p.sharded_param.dtype.itemsize for p in params
            )
    assert sum(unit.held(world) for unit in units) == held
    assert {unit.name: unit.gathered(world) for unit in units} == gathered


def test_optimizers_keep_what_they_keep(config):
    of = {}
    for name in ("AdamW", "SGD", "Adagrad"):
        settings = load_settings(str(config), [("optimizer._target_", f"torch.optim.{name}")])
        of[name] = state_bytes(settings.optimizer, torch.bfloat16)
    assert of == {"AdamW": 2.0, "SGD": 0.0, "Adagrad": 1.0}


def test_units_are_all_parameters_once(config):
    settings = settings_of(config, model__config__tie_word_embeddings="true")
    model = meta_model(settings, read_model_config(settings))
    units = estimate.units_of(settings, model, False)
    assert sum(p.numel for unit in units for p in unit.parameters) == sum(
        p.numel() for p in model.parameters()
    )
    assert [unit.root for unit in units] == [False, True]


def test_an_fp8_all_gather_sends_half_of_a_converted_weight(config):
    settings = settings_of(config)
    model = meta_model(settings, read_model_config(settings))
    plain = estimate.units_of(settings, model, False)
    float8.convert_to_float8_training(model, config=settings.fp8)
    fp8 = estimate.units_of(settings, model, True)
    weights = sum(p.numel for p in plain[0].parameters if "proj" in p.name)
    assert plain[0].gathered(1) - fp8[0].gathered(1) == weights
    assert plain[-1].gathered(1) == fp8[-1].gathered(1)


def test_what_is_gathered_for_a_pass(config, monkeypatch):
    """The root, two blocks, and the largest unit's gradients in float32; all, where they wait."""
    nothing = estimate.Saved(0, 0, 0)
    monkeypatch.setattr(estimate, "saved_by", lambda *_: nothing)
    parts = {"small": 6, "large": 10, "the rest": 8}
    units = [
        Unit(name, (estimate.Parameter("w", (rows, 3), stored=2, sent=2),), name == "the rest")
        for name, rows in parts.items()
    ]

    def gathered(deferred, world):
        settings = settings_of(
            config,
            step_scheduler__global_batch_size="16",
            distributed__defer_fsdp_grad_sync=deferred,
        )
        return estimate.memory_of(settings, None, units, Layout(world), 32, False).gathered

    # Rows on 4 ranks: 2, 3 and 2 each. 2 microbatches a step.
    weights = 2 * 3 * 4 * 2 + 2 * (2 * 3 * 4 * 3)
    assert gathered("false", 4) == weights + 4 * 3 * 4 * 3
    assert gathered("true", 4) == weights + 4 * 3 * 4 * (2 + 3 + 2)
    assert gathered("true", 8) == gathered("false", 8)  # one microbatch: nothing waits
    assert gathered("true", 1) == 0


def test_a_sharded_weights_fp8_copy_is_not_kept(config):
    def copies(recompute, sharded):
        settings = settings_of(config, fp8__force_recompute_fp8_weight_in_bwd=recompute)
        return estimate.saved_by(settings, read_model_config(settings), 32, sharded, True)

    kept, made_again = copies("false", False).fp8_copies, copies("true", False).fp8_copies
    weights = 4 * 32 * 32 + 3 * 32 * 48  # the layers that are converted, at a byte a value
    assert weights <= kept - made_again <= weights + 7 * 8  # and their scales
    assert copies("false", True).fp8_copies == copies("true", True).fp8_copies == made_again


def test_traffic_of_a_step(config):
    settings = settings_of(
        config, step_scheduler__global_batch_size="16"
    )  # 2 microbatches of 4 x 2
    parameter = estimate.Parameter("w", (10, 3), stored=2, sent=2)
    units = [Unit("block", (parameter,)), Unit("the rest", (parameter,), root=True)]
    traffic = estimate.traffic_of(settings, units, Layout(4))
    padded = 12 * 3  # 10 rows on 4 ranks: 3 each
    assert traffic.all_gather == 2 * padded * (2 * 2 + 2) * 3 // 4
    assert traffic.reduce_scatter == 4 * 2 * padded * 2 * 3 // 4
    assert traffic.all_reduce == 0
    deferred = settings_of(
        config, step_scheduler__global_batch_size="16", distributed__defer_fsdp_grad_sync="true"
    )
    once = estimate.traffic_of(deferred, units, Layout(4))
    assert (once.reduce_scatter, once.all_gather) == (
        traffic.reduce_scatter // 2,
        traffic.all_gather,
    )
    replicated = estimate.traffic_of(settings, units, Layout(2, nodes=2, replicas=2))
    assert replicated.all_gather == 2 * 30 * (2 * 2 + 2) // 2
    assert replicated.all_reduce == 2 * (4 * 2 * 30 // 2) * 2 // 2
