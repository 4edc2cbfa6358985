// The operators that have no CUDA kernel yet, in a library that was built with CUDA.

#include <torch/library.h>

#include "src/ops/cuda/unavailable.h"

namespace float8::cuda {
namespace {

void missing(const c10::OperatorHandle& op, torch::jit::Stack* /*stack*/) {
  TORCH_CHECK_NOT_IMPLEMENTED(
      false, "[", name_of(op),
      "] this version of libfloat8 has no CUDA kernel for it, got a "
      "CUDA tensor; run it on the CPU with emulate, or use a later version");
}

}  // namespace

TORCH_LIBRARY_IMPL(float8, CUDA, m) {
  for (const char* name :
       {"amax", "cast", "quantize", "quantize_pair", "transpose", "dequantize", "scaled_mm"}) {
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&missing>());
  }
}

}  // namespace float8::cuda
