"""What programs get that know torchao only, as JSON: test_torchao_imports.py runs it.

It runs the import statements of accelerate 1.15, nemo-automodel 0.7.0 and torchtitan 0.3.0 as they
stand there, and then uses Float8Linear as torchtitan does, which makes a subclass of it.
"""

import json
import sys
from dataclasses import dataclass

#: Statement: the expression to look at, and where what it names must be defined.
STATEMENTS = {
    # accelerate
    "from torchao.float8 import Float8LinearConfig": ("Float8LinearConfig", "float8.config"),
    "from torchao.float8.float8_linear import Float8LinearConfig": (
        "Float8LinearConfig",
        "float8.config",
    ),
    "from torchao.float8 import convert_to_float8_training": (
        "convert_to_float8_training",
        "float8.float8_linear_utils",
    ),
    "from torchao.float8.fsdp_utils import WeightWithDynamicFloat8CastTensor": (
        "WeightWithDynamicFloat8CastTensor",
        "float8.fsdp.weight",
    ),
    # AutoModel
    "from torchao.float8 import precompute_float8_dynamic_scale_for_fsdp": (
        "precompute_float8_dynamic_scale_for_fsdp",
        "float8.fsdp.precompute",
    ),
    "from torchao.float8.float8_linear import Float8Linear": (
        "Float8Linear",
        "float8.float8_linear",
    ),
    "import torchao as torch_ao": (
        "torch_ao.float8.fsdp_utils.WeightWithDynamicFloat8CastTensor",
        "float8.fsdp.weight",
    ),
    # torchtitan
    "from torchao.float8.float8_linear import Float8Linear as TorchAOFloat8Linear": (
        "TorchAOFloat8Linear",
        "float8.float8_linear",
    ),
    "from torchao.float8 import _auto_filter_for_recipe": (
        "_auto_filter_for_recipe",
        "float8.float8_linear_utils",
    ),
    "from torchao.float8.float8_linear_utils import _auto_filter_for_recipe": (
        "_auto_filter_for_recipe",
        "float8.float8_linear_utils",
    ),
    "from torchao.prototype.moe_training.config import Float8TrainingOpConfig": (
        "type(Float8TrainingOpConfig())",
        "torchao.prototype.moe_training.config",
    ),
    # other ways to say it
    "import torchao.float8.config as c": ("c.CastConfig", "float8.config"),
    "import torchao.float8.float8_linear_utils": (
        "torchao.float8.float8_linear_utils.convert_to_float8_training",
        "float8.float8_linear_utils",
    ),
    "from torchao.float8 import *": ("ScalingGranularity", "float8.config"),
    "from torchao import float8": ("float8.Float8LinearRecipeName", "float8.config"),
    # what stays torchao's
    "from torchao.quantization import Float8DynamicActivationFloat8WeightConfig as Config": (
        "Config",
        "torchao.quantization.quant_api",
    ),
    "from torchao.float8.inference import Float8MMConfig": (
        "Float8MMConfig",
        "torchao.float8.inference",
    ),
}
#: Of torchao.float8, but not of float8: each is an ImportError that names it.
MISSING = {
    "from torchao.float8.float8_tensor_parallel import Float8ColwiseParallel": (
        "float8_tensor_parallel"
    ),
    "from torchao.float8.float8_tensor_parallel import Float8RowwiseParallel": (
        "float8_tensor_parallel"
    ),
    "from torchao.float8.float8_tensor_parallel import PrepareFloat8ModuleInput": (
        "float8_tensor_parallel"
    ),
    "import torchao.float8.float8_ops": "float8_ops",
    "from torchao.float8 import Float8TrainingTensor": "Float8TrainingTensor",
    "from torchao.float8.float8_training_tensor import Float8TrainingTensor": (
        "Float8TrainingTensor"
    ),
    "from torchao.float8.float8_linear import matmul_with_hp_or_float8_args": (
        "matmul_with_hp_or_float8_args"
    ),
}


def got(statement, expression):
    """Where that is defined which the statement's program sees; or its error."""
    names = {}
    try:
        exec(statement, names)
        return eval(expression, names).__module__
    except Exception as error:
        return repr(error)


def error_of(statement):
    try:
        exec(statement, {})
    except ImportError as error:
        return str(error)
    return "no error"


def torchaos_modules():
    """The modules below torchao.float8 that come from torchao's files."""
    return sorted(
        name
        for name, module in sys.modules.items()
        if name.startswith("torchao.float8") and getattr(module, "__file__", None)
    )


def torchtitans_layer():
    """A subclass that takes a configuration object, is built on meta, and trains."""
    import torch
    from op_counts import counted_ops
    from torch import nn
    from torchao.float8 import Float8LinearConfig
    from torchao.float8.float8_linear import Float8Linear as TorchAOFloat8Linear

    class Module(nn.Module):
        """Stands for torchtitan's protocol."""

    class Float8Linear(TorchAOFloat8Linear, Module):
        @dataclass
        class Config:
            in_features: int
            out_features: int
            bias: bool = False
            _torchao_config: object = None

        def __init__(self, config):
            TorchAOFloat8Linear.__init__(
                self,
                config.in_features,
                config.out_features,
                bias=config.bias,
                config=config._torchao_config,
            )

    with torch.device("meta"):
        layer = Float8Linear(
            Float8Linear.Config(32, 64, _torchao_config=Float8LinearConfig(emulate=True))
        )
    layer.to_empty(device="cpu")
    nn.init.normal_(layer.weight)
    with counted_ops() as counts:
        layer(torch.randn(16, 32, requires_grad=True)).sum().backward()
    plain = [m for m in (layer,) if isinstance(m, nn.Linear) and isinstance(m, Module)]
    return len(plain) and counts["float8::scaled_mm"]


def main():
    import torchao

    found = {
        "version": torchao.__version__,
        "statements": {s: got(s, expression) for s, (expression, _) in STATEMENTS.items()},
        "errors": {s: error_of(s) for s in MISSING},
        "torchao's modules": torchaos_modules(),
        "products of torchtitan's layer": torchtitans_layer(),
    }
    names = {}
    exec("from torchao.float8 import *", names)
    found["star"] = sorted(names)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
