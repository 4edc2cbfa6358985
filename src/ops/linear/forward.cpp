#include <ATen/ops/linear.h>

#include "src/ops/linear/copies.h"
#include "src/ops/linear/linear.h"

namespace float8::ops {

LinearForward linear_forward(const at::Tensor& input, const at::Tensor& weight,
                             const std::optional<at::Tensor>& bias, const LinearRecipe& recipe,
                             LinearNeeds needs) {
  const auto output_gemm = scaling_of(recipe.output_blocks);
  const auto grad_input_gemm = scaling_of(recipe.grad_input_blocks);
  const auto grad_weight_gemm = scaling_of(recipe.grad_weight_blocks);
  const at::ScalarType dtype = input.scalar_type();
  const bool keep_weight_copy = needs.grad_input && !recipe.recompute_weight;

  const CopiesWanted x_wanted = {
      .dtype = scalar_type_of(recipe.input_dtype),
      .power_of_two = recipe.power_of_two,
      .straight = block_if(true, output_gemm, &GemmScaling::a),
      .transposed = block_if(needs.grad_weight, grad_weight_gemm, &GemmScaling::b)};
  const CopiesWanted w_wanted = {
      .dtype = scalar_type_of(recipe.weight_dtype),
      .power_of_two = recipe.power_of_two,
      .straight = block_if(true, output_gemm, &GemmScaling::b),
      .transposed = block_if(keep_weight_copy, grad_input_gemm, &GemmScaling::b)};
  const Copies x_copies = shared_input_copies(
      input, weight, x_wanted, /*backward_follows=*/needs.grad_input || needs.grad_weight);
  const Copies w_copies =
      recipe.recompute_weight ? make_copies(weight, w_wanted) : weight_copies(weight, w_wanted);

  LinearForward result;
  const std::optional<at::Tensor> rounded_bias =
      bias.has_value() ? std::optional<at::Tensor>(in_dtype(*bias, dtype)) : std::nullopt;
  const at::Tensor output =
      output_gemm ? scaled_mm(x_copies.straight.data, w_copies.straight.data,
                              x_copies.straight.scale_inv, w_copies.straight.scale_inv,
                              rounded_bias, dtype, recipe.output_fast_accum, recipe.emulate)
                  : at::linear(input.reshape_symint({-1, weight.sym_size(1)}),
                               in_dtype(weight, dtype), rounded_bias);
  c10::SymDimVector shape(input.sym_sizes().begin(), input.sym_sizes().end() - 1);
  shape.push_back(weight.sym_size(0));
  result.output = output.reshape_symint(shape);

  if (needs.grad_weight) {
    const bool fp8 = x_copies.transposed.data.defined();
    result.saved.input = fp8 ? x_copies.transposed.data : input;
    result.saved.input_scale_inv = x_copies.transposed.scale_inv;
  }
  if (needs.grad_input) {
    const bool fp8 = w_copies.transposed.data.defined();
    result.saved.weight = fp8 ? w_copies.transposed.data : weight;
    result.saved.weight_scale_inv = w_copies.transposed.scale_inv;
  }
  return result;
}

}  // namespace float8::ops
