"""float8 refuses a torch of another minor version than the one that it was built for."""

import importlib
import sys

import pytest
import torch

from float8._build_info import BUILD_INFO
from float8._version_check import check_torch_version


@pytest.mark.parametrize("found", ["2.11.0", "2.11.3+cu130", "2.11.0a0+git1234"])
def test_same_minor_version_passes(found):
    check_torch_version("2.11", found)


@pytest.mark.parametrize("found", ["2.12.0+cu130", "2.1.1", "3.11.0", "2.110.0"])
def test_other_minor_version_names_both_and_the_remedy(found):
    with pytest.raises(ImportError) as error:
        check_torch_version("2.11", found)
    message = str(error.value)
    assert "torch 2.11," in message
    assert f"got torch {found}" in message
    assert "install torch==2.11.*" in message


def test_this_build_fits_this_torch():
    check_torch_version(BUILD_INFO["torch"], torch.__version__)


def test_import_fails_with_another_torch(monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.99.0")
    for name in [name for name in sys.modules if name.split(".")[0] == "float8"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match=r"got torch 2\.99\.0"):
        importlib.import_module("float8")
