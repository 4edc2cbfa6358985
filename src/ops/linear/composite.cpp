// Linear without gradients: inference mode, and the decomposition that a tracer takes.

#include <torch/library.h>

#include "src/ops/linear/linear.h"

namespace float8::ops {
namespace {

at::Tensor linear(const at::Tensor& input, const at::Tensor& weight,
                  const std::optional<at::Tensor>& bias, const LinearRecipe& recipe,
                  const std::optional<at::Tensor>& main_grad) {
  check_linear(input, weight, bias, recipe, main_grad);
  return linear_forward(input, weight, bias, recipe, LinearNeeds{}).output;
}

}  // namespace

TORCH_LIBRARY_IMPL(float8, CompositeImplicitAutograd, m) {
  m.impl("linear", &linear_kernel<&linear>);
}

}  // namespace float8::ops
