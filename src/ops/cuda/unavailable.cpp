// Takes the place of the CUDA backend in a library that was built without it.

#include <torch/library.h>

#include "src/ops/cuda/unavailable.h"

namespace float8::cuda {
namespace {

void unavailable(const c10::OperatorHandle& op, torch::jit::Stack* /*stack*/) {
  TORCH_CHECK_NOT_IMPLEMENTED(
      false, "[", name_of(op),
      "] this libfloat8 was built without its CUDA backend, got a "
      "CUDA tensor; build it with FLOAT8_CUDA=ON and a CUDA build of torch");
}

}  // namespace

TORCH_LIBRARY_IMPL(float8, CUDA, m) {
  for (const char* name : {"amax", "amax_to_scale", "cast", "quantize", "quantize_pair",
                           "transpose", "dequantize", "scaled_mm"}) {
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&unavailable>());
  }
}

}  // namespace float8::cuda
