#include <ATen/ops/linear.h>

#include "src/ops/linear/linear.h"

namespace float8::ops {
namespace {

struct Copy {
  at::Tensor data;
  at::Tensor scale_inv;
};

// The copies of one tensor that the forward GEMM and, later, a backward GEMM read.
struct Copies {
  Copy straight;
  Copy transposed;
};

Copies quantize_layouts(const at::Tensor& x, Format format, const std::optional<Block>& block,
                        const std::optional<Block>& block_t, bool power_of_two) {
  const at::ScalarType dtype = scalar_type_of(format);
  Copies copies;
  if (block && block_t) {
    std::tie(copies.straight.data, copies.straight.scale_inv, copies.transposed.data,
             copies.transposed.scale_inv) = quantize_pair(x, dtype, *block, *block_t, power_of_two);
  } else if (block) {
    std::tie(copies.straight.data, copies.straight.scale_inv) =
        quantize(x, dtype, *block, power_of_two);
  } else if (block_t) {
    std::tie(copies.transposed.data, copies.transposed.scale_inv) =
        quantize(x, dtype, *block_t, power_of_two, /*transpose=*/true);
  }
  return copies;
}

// The block if `condition` and the GEMM is in FP8.
std::optional<Block> block_if(bool condition, const std::optional<GemmScaling>& gemm,
                              Block GemmScaling::*operand) {
  return condition && gemm ? std::optional<Block>((*gemm).*operand) : std::nullopt;
}

}  // namespace

LinearForward linear_forward(const at::Tensor& input, const at::Tensor& weight,
                             const std::optional<at::Tensor>& bias, const LinearRecipe& recipe,
                             LinearNeeds needs) {
  const auto output_gemm = scaling_of(recipe.output_blocks);
  const auto grad_input_gemm = scaling_of(recipe.grad_input_blocks);
  const auto grad_weight_gemm = scaling_of(recipe.grad_weight_blocks);
  const at::Tensor x = input.reshape_symint({-1, weight.sym_size(1)});
  const at::ScalarType dtype = x.scalar_type();
  const bool keep_weight_copy = needs.grad_input && !recipe.recompute_weight;

  const Copies x_copies = quantize_layouts(
      x, recipe.input_dtype, block_if(true, output_gemm, &GemmScaling::a),
      block_if(needs.grad_weight, grad_weight_gemm, &GemmScaling::b), recipe.power_of_two);
  const Copies w_copies = quantize_layouts(
      weight, recipe.weight_dtype, block_if(true, output_gemm, &GemmScaling::b),
      block_if(keep_weight_copy, grad_input_gemm, &GemmScaling::b), recipe.power_of_two);

  LinearForward result;
  const std::optional<at::Tensor> rounded_bias =
      bias.has_value() ? std::optional<at::Tensor>(in_dtype(*bias, dtype)) : std::nullopt;
  const at::Tensor output =
      output_gemm ? scaled_mm(x_copies.straight.data, w_copies.straight.data,
                              x_copies.straight.scale_inv, w_copies.straight.scale_inv,
                              rounded_bias, dtype, recipe.output_fast_accum, recipe.emulate)
                  : at::linear(x, in_dtype(weight, dtype), rounded_bias);
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
