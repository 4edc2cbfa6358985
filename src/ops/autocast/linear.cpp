#include <ATen/autocast_mode.h>
#include <torch/library.h>

#include "float8/ops.h"
#include "src/ops/linear/linear.h"

namespace float8::ops {
namespace {

// Autocast casts the input, as it does for torch's own linear. The weight stays as it is: its FP8
// copy is made from the high-precision values, and its gradient has their dtype.
template <c10::DeviceType kDevice, c10::DispatchKey kKey>
at::Tensor linear(const at::Tensor& input, const at::Tensor& weight,
                  const std::optional<at::Tensor>& bias, at::ScalarType input_dtype,
                  at::ScalarType weight_dtype, at::ScalarType grad_output_dtype,
                  at::IntArrayRef output_blocks, at::IntArrayRef grad_input_blocks,
                  at::IntArrayRef grad_weight_blocks, bool output_fast_accum,
                  bool grad_input_fast_accum, bool grad_weight_fast_accum, bool power_of_two,
                  bool recompute_weight, bool emulate) {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(kKey);
  return float8::linear(
      at::autocast::cached_cast(at::autocast::get_autocast_dtype(kDevice), input, kDevice), weight,
      bias,
      recipe_of(input_dtype, weight_dtype, grad_output_dtype, output_blocks, grad_input_blocks,
                grad_weight_blocks, output_fast_accum, grad_input_fast_accum,
                grad_weight_fast_accum, power_of_two, recompute_weight, emulate));
}

}  // namespace

TORCH_LIBRARY_IMPL(float8, AutocastCPU, m) {
  m.impl("linear", &linear<at::kCPU, c10::DispatchKey::AutocastCPU>);
}

TORCH_LIBRARY_IMPL(float8, AutocastCUDA, m) {
  m.impl("linear", &linear<at::kCUDA, c10::DispatchKey::AutocastCUDA>);
}

}  // namespace float8::ops
