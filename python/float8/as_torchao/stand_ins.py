"""What stands behind the names of torchao.float8, and the import system's access to it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from types import ModuleType
from typing import Any, NoReturn

ROOT = "torchao.float8"

_CONFIG = dict.fromkeys(
    (
        "CastConfig",
        "Float8GemmConfig",
        "Float8LinearConfig",
        "Float8LinearRecipeName",
        "ScalingGranularity",
        "ScalingType",
    ),
    "float8.config",
)
_CONVERSION = dict.fromkeys(
    ("_auto_filter_for_recipe", "convert_to_float8_training"), "float8.float8_linear_utils"
)
_PRECOMPUTE = {"precompute_float8_dynamic_scale_for_fsdp": "float8.fsdp"}
_TRAINING_TENSOR = f"{ROOT}.float8_training_tensor"

#: For each module of torchao.float8 that trains: its names, and the module that has them.
STAND_INS: dict[str, dict[str, str]] = {
    ROOT: {
        **_CONFIG,
        **_CONVERSION,
        **_PRECOMPUTE,
        "FP8Granularity": f"{ROOT}.types",
        "Float8MMConfig": f"{ROOT}.inference",
    },
    f"{ROOT}.config": {**_CONFIG, **dict.fromkeys(("e4m3_dtype", "e5m2_dtype"), "float8.config")},
    f"{ROOT}.float8_linear": {
        "Float8Linear": "float8.float8_linear",
        "Float8LinearConfig": "float8.config",
    },
    f"{ROOT}.float8_linear_utils": _CONVERSION,
    f"{ROOT}.fsdp_utils": {**_PRECOMPUTE, "WeightWithDynamicFloat8CastTensor": "float8.fsdp"},
    # Plain records of torchao's own: its grouped products for experts are configured with them.
    _TRAINING_TENSOR: dict.fromkeys(
        ("GemmInputRole", "LinearMMConfig", "ScaledMMConfig"), _TRAINING_TENSOR
    ),
}

#: Files of torchao that its quantization for inference is made of. They stay torchao's.
TORCHAOS_OWN = frozenset(f"{ROOT}.{name}" for name in ("inference", "types", "float8_utils"))


def spec_of(name: str, path: Sequence[str]) -> ModuleSpec | None:
    """Answers the import system: a module of ours, torchao's own file, or an error.

    Args:
        name: "torchao.float8" or what is below it.
        path: the folders of the package above.

    Raises:
        ModuleNotFoundError: float8 has nothing of that name. It has no `name`: so `from module
            import name`, which looks for a submodule at last, ends with this message.
    """
    if name in TORCHAOS_OWN:
        return PathFinder.find_spec(name, path)
    if name not in STAND_INS:
        _refuse(name)
    spec = ModuleSpec(name, StandIn(), origin=f"float8, by {__name__}", is_package=True)
    if name == ROOT:  # where the files of torchao's own are
        spec.submodule_search_locations = [os.path.join(folder, "float8") for folder in path]
    return spec


def _refuse(name: str) -> NoReturn:
    module, _, wanted = name.rpartition(".")
    known = STAND_INS.get(module)
    names = ", ".join(sorted(known)) if known else ", ".join(sorted({*STAND_INS, *TORCHAOS_OWN}))
    raise ModuleNotFoundError(
        f"[as_torchao] a name of {module} must be one that float8 has, got {wanted}; it has "
        f"{names}. Without float8.as_torchao the program gets torchao's own"
    )


class StandIn(Loader):
    """Makes a module whose names are looked up in float8 when they are read."""

    def create_module(self, spec: ModuleSpec) -> None:
        """Leaves it to the import system to make an empty module."""

    def exec_module(self, module: ModuleType) -> None:
        """Fills the module."""
        names = STAND_INS[module.__name__]
        if module.__name__ == _TRAINING_TENSOR:
            own = _torchaos_own(module.__name__)
            module.__dict__.update({name: getattr(own, name) for name in names})

        def read(name: str) -> Any:
            below = f"{module.__name__}.{name}"
            if below in STAND_INS or below in TORCHAOS_OWN:
                return importlib.import_module(below)
            if name not in names:
                text = f"module {module.__name__!r} has no attribute {name!r} (it is float8's)"
                raise AttributeError(text)
            value = getattr(importlib.import_module(names[name]), name)
            setattr(module, name, value)  # a compiler need not see through this function
            return value

        module.__dict__.update(__getattr__=read, __dir__=lambda: [*names], __all__=[*names])
        if module.__name__ == ROOT:
            _allow_in_checkpoints()


def _torchaos_own(name: str) -> ModuleType:
    """Runs a file of torchao's own without making it a module that can be imported."""
    spec = PathFinder.find_spec(name, importlib.import_module(ROOT).__path__)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _allow_in_checkpoints() -> None:
    """Lets `torch.load(weights_only=True)` read what it reads where torchao.float8 is torchao's."""
    from torch.serialization import add_safe_globals

    records = [(ROOT, "ScalingGranularity"), (f"{ROOT}.inference", "Float8MMConfig")]
    records += [(_TRAINING_TENSOR, name) for name in STAND_INS[_TRAINING_TENSOR]]
    values = [getattr(importlib.import_module(module), name) for module, name in records]
    theirs = (values[0], f"{ROOT}.config.ScalingGranularity")  # as torchao's own files name it
    add_safe_globals([*values, theirs])
