// The leaf operators are the pieces of linear's two passes and have no derivative of their own.
// Their results never require a gradient: autograd would cast the gradient of an FP8 tensor to FP8.

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/library.h>

namespace float8::ops {
namespace {

void call_below_autograd(const c10::OperatorHandle& op, c10::DispatchKeySet keys,
                         torch::jit::Stack* stack) {
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  op.redispatchBoxed(keys & c10::after_ADInplaceOrView_keyset, stack);
}

}  // namespace

TORCH_LIBRARY_IMPL(float8, Autograd, m) {
  for (const char* leaf :
       {"amax", "amax_to_scale", "cast", "quantize", "quantize_pair", "transpose", "dequantize",
        "cast_error", "scaled_mm", "scaled_mm_add_"}) {
    m.impl(leaf, torch::CppFunction::makeFromBoxedFunction<&call_below_autograd>());
  }
}

}  // namespace float8::ops
