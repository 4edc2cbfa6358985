"""The imports of clients that know torchao only, each as the client writes it."""

import json
from importlib.metadata import version

import pytest
import torch
import torchao.float8
from as_torchao import HERE, run
from torchao_imports import MISSING, STATEMENTS


@pytest.fixture(scope="module")
def seen():
    """What a program started with -m sees; op_counts lies beside this folder."""
    done = run("-m", "torchao_imports", cwd=HERE, path=HERE.parent)
    return json.loads(done.stdout)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_an_import_gives_what_it_should(seen, statement):
    assert seen["statements"][statement] == STATEMENTS[statement][1]


@pytest.mark.parametrize("statement", MISSING)
def test_what_float8_lacks_is_an_import_error(seen, statement):
    text = seen["errors"][statement]
    assert f"must be one that float8 has, got {MISSING[statement]};" in text
    assert "Without float8.as_torchao the program gets torchao's own" in text


def test_no_other_file_of_torchaos_runs(seen):
    own = [f"torchao.float8.{name}" for name in ("float8_utils", "inference", "types")]
    assert seen["torchao's modules"] == own


def test_a_star_import_gives_torchaos_names(seen):
    assert set(torchao.float8.__all__) <= set(seen["star"])


def test_torchaos_version_is_its_own(seen):
    assert seen["version"] == version("torchao")


def test_torchtitans_subclass_trains_in_fp8(seen):
    assert seen["products of torchtitan's layer"] == 3


def test_torchaos_records_load_from_checkpoints(tmp_path):
    """torch.load(weights_only=True) takes what torchao.float8 allows in a process of torchao's."""
    path = tmp_path / "records.pt"
    product = torchao.float8.inference.Float8MMConfig(use_fast_accum=True)
    granularity = torchao.float8.ScalingGranularity.AXISWISE
    role = torchao.float8.float8_training_tensor.GemmInputRole.WEIGHT
    records = [product, granularity, role]
    if role.__reduce_ex__(2)[0] is getattr:  # an older Python 3.11: torchao refuses them too
        records = [product]
    torch.save(records, path)
    code = f"import torch, torchao.float8; print(torch.load({str(path)!r}, weights_only=True))"
    assert run("-c", code).stdout.strip().splitlines()[-1] == repr(records)
