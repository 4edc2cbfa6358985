// Takes the place of the CUDA backend in a library that was built without it.

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <string>

namespace float8::cuda {
namespace {

void unavailable(const c10::OperatorHandle& op, torch::jit::Stack* /*stack*/) {
  const std::string& name = op.schema().name();  // "float8::quantize"
  TORCH_CHECK_NOT_IMPLEMENTED(
      false, "[", name.substr(name.rfind(':') + 1),
      "] this libfloat8 was built without its CUDA backend, got a "
      "CUDA tensor; build it with FLOAT8_CUDA=ON and a CUDA build of torch");
}

}  // namespace

TORCH_LIBRARY_IMPL(float8, CUDA, m) {
  for (const char* name :
       {"amax", "amax_to_scale", "cast", "quantize", "quantize_pair", "transpose", "dequantize",
        "cast_error", "scaled_mm", "scaled_mm_add_"}) {
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&unavailable>());
  }
}

}  // namespace float8::cuda
