// Linear without gradients: inference mode, and the decomposition that a tracer takes.

#include <torch/library.h>

#include "src/ops/linear/linear.h"

namespace float8::ops {
namespace {

at::Tensor linear(const at::Tensor& input, const at::Tensor& weight,
                  const std::optional<at::Tensor>& bias, at::ScalarType input_dtype,
                  at::ScalarType weight_dtype, at::ScalarType grad_output_dtype,
                  at::IntArrayRef output_blocks, at::IntArrayRef grad_input_blocks,
                  at::IntArrayRef grad_weight_blocks, bool output_fast_accum,
                  bool grad_input_fast_accum, bool grad_weight_fast_accum, bool power_of_two,
                  bool recompute_weight, bool emulate) {
  const LinearRecipe recipe =
      recipe_of(input_dtype, weight_dtype, grad_output_dtype, output_blocks, grad_input_blocks,
                grad_weight_blocks, output_fast_accum, grad_input_fast_accum,
                grad_weight_fast_accum, power_of_two, recompute_weight, emulate);
  check_linear(input, weight, bias, recipe);
  return linear_forward(input, weight, bias, recipe, LinearNeeds{}).output;
}

}  // namespace

TORCH_LIBRARY_IMPL(float8, CompositeImplicitAutograd, m) { m.impl("linear", &linear); }

}  // namespace float8::ops
