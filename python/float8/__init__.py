"""FP8 training for PyTorch, in C++: Float8Linear layers and the pass that converts a model to them.

The names and arguments are those of `torchao.float8`, so that moving over is one changed import:

    from float8 import Float8LinearConfig, convert_to_float8_training

    config = Float8LinearConfig.from_recipe_name("tensorwise")
    model = convert_to_float8_training(model, config=config)

The operators are `torch.ops.float8.*`; their schemas are on one page, src/ops/schema.cpp.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from float8._build_info import BUILD_INFO
from float8._version_check import check_torch_version

check_torch_version(BUILD_INFO["torch"], torch.__version__)  # before the library loads, and fails

from float8 import _C  # noqa: E402
from float8._C import (  # noqa: E402
    ConversionReport,
    LayerDecision,
    cpu_gemm,
    fqn_matches,
    set_cpu_gemm,
)
from float8.cached_weights import cached_weights, invalidate_cached_weights  # noqa: E402
from float8.config import (  # noqa: E402
    CastConfig,
    CompileConfig,
    Config,
    ConfigError,
    Float8GemmConfig,
    Float8LinearConfig,
    Float8LinearRecipeName,
    Fp8Config,
    ScalingGranularity,
    ScalingType,
    dump,
    load_config,
)
from float8.float8_linear import Float8Linear  # noqa: E402
from float8.float8_linear_utils import (  # noqa: E402
    ConversionPlan,
    convert_to_float8_training,
    plan_conversion,
)
from float8.fsdp import precompute_float8_dynamic_scale_for_fsdp  # noqa: E402
from float8.inspection import HealthReport, OperandHealth, inspect  # noqa: E402
from float8.main_grad import fuse_wgrad_accumulation  # noqa: E402

__version__ = BUILD_INFO["version"]
#: What CMAKE_PREFIX_PATH needs for find_package(Float8) to find this installation.
#: (Of the compiled part: the Python files may be used from a source tree.)
cmake_prefix_path = str(Path(_C.__file__).parent)

__all__ = [
    "CastConfig",
    "CompileConfig",
    "Config",
    "ConfigError",
    "ConversionPlan",
    "ConversionReport",
    "Float8GemmConfig",
    "Float8Linear",
    "Float8LinearConfig",
    "Float8LinearRecipeName",
    "Fp8Config",
    "HealthReport",
    "LayerDecision",
    "OperandHealth",
    "ScalingGranularity",
    "ScalingType",
    "__version__",
    "cached_weights",
    "cmake_prefix_path",
    "convert_to_float8_training",
    "cpu_gemm",
    "dump",
    "fqn_matches",
    "fuse_wgrad_accumulation",
    "inspect",
    "invalidate_cached_weights",
    "load_config",
    "plan_conversion",
    "precompute_float8_dynamic_scale_for_fsdp",
    "set_cpu_gemm",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Says what is meant by the names of torchao's that are not there."""
        if name in ("Float8ColwiseParallel", "Float8RowwiseParallel", "PrepareFloat8ModuleInput"):
            raise ImportError(
                f"[float8] a name must be one of those there are, got {name}: there is no tensor "
                "parallelism of FP8 layers yet; leave the layers that parallelize_module is to "
                "shard out of the conversion, and use torch's own styles for them"
            )
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
