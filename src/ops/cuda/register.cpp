#include "src/ops/cuda/operators.h"

TORCH_LIBRARY_IMPL(float8, CUDA, m) { float8::cuda::implement_operators(m); }
