"""What a program sees that imports torchao.float8, as JSON: test_as_torchao.py runs it."""

import importlib
import json
import sys

MISSING = (
    "from torchao.float8 import Float8TrainingTensor",
    "from torchao.float8.float8_linear import Float8LinearNoCompile",
    "import torchao.float8.float8_tensor_parallel",
)


def error_of(statement):
    try:
        exec(statement)
    except ImportError as error:
        return str(error)
    return ""


def main():
    import torchao.float8
    import torchao.quantization.qat  # the rest of torchao goes on working
    from torchao.float8 import inference

    import float8
    from float8.as_torchao.stand_ins import STAND_INS

    found = {
        "ours": [
            f"{module}.{name}"
            for module, names in STAND_INS.items()
            for name, home in names.items()
            if getattr(importlib.import_module(module), name)
            is not getattr(importlib.import_module(home), name)
        ],
        "same class": torchao.float8.float8_linear.Float8Linear is float8.Float8Linear,
        "hasattr": hasattr(torchao.float8, "no_such_name"),
        "inference": inference.__file__,
        "errors": [error_of(statement) for statement in MISSING],
        "sitecustomize of others": "float8_test_customized" in sys.modules,
    }
    for name in [name for name in sys.modules if name.startswith(("torchao.float8", "float8"))]:
        del sys.modules[name]
    sys.modules["float8"] = None
    found["without float8"] = error_of("import torchao.float8")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
