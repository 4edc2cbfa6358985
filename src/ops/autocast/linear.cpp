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
                  const std::optional<at::Tensor>& bias, const LinearRecipe& recipe,
                  const std::optional<at::Tensor>& main_grad) {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(kKey);
  const at::ScalarType dtype = at::autocast::get_autocast_dtype(kDevice);
  return float8::linear(at::autocast::cached_cast(dtype, input, kDevice), weight, bias, recipe,
                        main_grad);
}

}  // namespace

TORCH_LIBRARY_IMPL(float8, AutocastCPU, m) {
  m.impl("linear", &linear_kernel<&linear<at::kCPU, c10::DispatchKey::AutocastCPU>>);
}

TORCH_LIBRARY_IMPL(float8, AutocastCUDA, m) {
  m.impl("linear", &linear_kernel<&linear<at::kCUDA, c10::DispatchKey::AutocastCUDA>>);
}

}  // namespace float8::ops
