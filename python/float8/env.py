"""`float8 env`: what this installation is made of, and what it lacks."""

from __future__ import annotations

import ctypes
import importlib.metadata
import platform
import sys

import torch

import float8
from float8._build_info import BUILD_INFO
from float8.train.data.pack_cache import cache_folder, kept_packs
from float8.train.words import size_words

_MIN_CAPABILITY = (8, 9)
_TRAINING_PACKAGES = ("transformers", "torchdata", "rich", "matplotlib", "tensorboard")


def environment() -> list[tuple[str, str]]:
    """Returns (what, version or state) pairs; never raises for something that is missing."""
    rows = [
        ("float8", float8.__version__),
        ("built with", _build_info()),
        ("python", f"{platform.python_version()} ({sys.executable})"),
        ("platform", platform.platform()),
        ("torch", torch.__version__),
        ("torch's CUDA", torch.version.cuda or "none: a CPU-only torch"),
        ("cuBLASLt", _cublaslt_version()),
    ]
    rows += _devices()
    rows += [(name, _package_version(name)) for name in _TRAINING_PACKAGES]
    count, size = kept_packs()
    where = f"in {cache_folder()}, which may be deleted"
    rows.append(("packed data sets", f"{count}, {size_words(size)} {where}" if count else "none"))
    return rows


def missing() -> list[str]:
    """Returns one sentence for each thing that limits what can be done here."""
    sentences = []
    absent = [name for name in _TRAINING_PACKAGES if _package_version(name) == "missing"]
    if absent:
        sentences.append(f"float8 train needs {', '.join(absent)}: pip install 'float8[train]'")
    capabilities = [torch.cuda.get_device_capability(i) for i in range(torch.cuda.device_count())]
    if not any(capability >= _MIN_CAPABILITY for capability in capabilities):
        sentences.append(
            "no device with FP8 products (compute capability 8.9 or later): set fp8.emulate to true"
        )
    if capabilities:
        from float8.train.device import try_fp8
        from float8.train.errors import TrainError

        try:
            try_fp8(float8.Float8LinearConfig(emulate=True), torch.device("cuda"))
        except TrainError as error:
            sentences.append(f"FP8 on the GPU: {error}")
    return sentences


def show_environment() -> None:
    """Prints both, aligned."""
    rows = environment()
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:{width}}  {value}")
    for sentence in missing():
        print(f"\nmissing: {sentence}")


def _build_info() -> str:
    parts = [f"{name} {value or 'none'}" for name, value in BUILD_INFO.items() if name != "version"]
    return ", ".join(parts)


def _cublaslt_version() -> str:
    """Asks the library that torch loads (importing torch has put it into the process)."""
    for name in ("libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"):
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.cublasLtGetVersion.restype = ctypes.c_size_t
        number = library.cublasLtGetVersion()
        return f"{number // 10000}.{number // 100 % 100}.{number % 100} ({name})"
    return "not loadable"


def _devices() -> list[tuple[str, str]]:
    if not torch.cuda.is_available():
        return [("device", f"cpu, {torch.get_num_threads()} threads; no CUDA device")]
    rows = []
    for index in range(torch.cuda.device_count()):
        major, minor = torch.cuda.get_device_capability(index)
        verdict = "FP8" if (major, minor) >= _MIN_CAPABILITY else "no FP8: emulate"
        name = torch.cuda.get_device_name(index)
        rows.append((f"device cuda:{index}", f"{name}, capability {major}.{minor} ({verdict})"))
    return rows


def _package_version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"
