#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "float8/config.h"
#include "float8/ops.h"

// The linear layer as a sequence of leaf operators, once for every backend and for tracing: nothing
// here looks at a tensor's data. The autograd, autocast and inference entries share it.
namespace float8::ops {

/// The operator's plain arguments as one value, checked.
LinearRecipe recipe_of(at::ScalarType input_dtype, at::ScalarType weight_dtype,
                       at::ScalarType grad_output_dtype, at::IntArrayRef output_blocks,
                       at::IntArrayRef grad_input_blocks, at::IntArrayRef grad_weight_blocks,
                       bool output_fast_accum, bool grad_input_fast_accum,
                       bool grad_weight_fast_accum, bool power_of_two, bool recompute_weight,
                       bool emulate);

/// What the operator computes for one dispatch key, with the recipe as one value.
using LinearBody = at::Tensor(const at::Tensor& input, const at::Tensor& weight,
                              const std::optional<at::Tensor>& bias, const LinearRecipe& recipe,
                              const std::optional<at::Tensor>& main_grad);

/// The kernel of the operator float8::linear that `kBody` makes: the schema's arguments, spelled
/// here and nowhere else.
template <LinearBody* kBody>
at::Tensor linear_kernel(const at::Tensor& input, const at::Tensor& weight,
                         const std::optional<at::Tensor>& bias, at::ScalarType input_dtype,
                         at::ScalarType weight_dtype, at::ScalarType grad_output_dtype,
                         at::IntArrayRef output_blocks, at::IntArrayRef grad_input_blocks,
                         at::IntArrayRef grad_weight_blocks, bool output_fast_accum,
                         bool grad_input_fast_accum, bool grad_weight_fast_accum, bool power_of_two,
                         bool recompute_weight, bool emulate,
                         const std::optional<at::Tensor>& main_grad) {
  return kBody(
      input, weight, bias,
      recipe_of(input_dtype, weight_dtype, grad_output_dtype, output_blocks, grad_input_blocks,
                grad_weight_blocks, output_fast_accum, grad_input_fast_accum,
                grad_weight_fast_accum, power_of_two, recompute_weight, emulate),
      main_grad);
}

/// How one GEMM D = A B^T is scaled; empty means high precision.
struct GemmScaling {
  Block a;
  Block b;
};
std::optional<GemmScaling> scaling_of(const std::vector<std::int64_t>& blocks);

/// An operand's block if `condition` and the GEMM is in FP8.
inline std::optional<Block> block_if(bool condition, const std::optional<GemmScaling>& gemm,
                                     Block GemmScaling::*operand) {
  return condition && gemm ? std::optional<Block>((*gemm).*operand) : std::nullopt;
}

/// Errors for tensors that the layer cannot take, and for FP8 on a device that has none.
void check_linear(const at::Tensor& input, const at::Tensor& weight,
                  const std::optional<at::Tensor>& bias, const LinearRecipe& recipe,
                  const std::optional<at::Tensor>& main_grad);

/// `tensor` in `dtype`; itself where it has that dtype already (Tensor::to would say the same with
/// a call that schema checks take for an operator that returns its argument).
inline at::Tensor in_dtype(const at::Tensor& tensor, at::ScalarType dtype) {
  return tensor.scalar_type() == dtype ? tensor : tensor.to(dtype);
}

/// Which gradients will be asked for: what no gradient needs is neither computed nor saved.
struct LinearNeeds {
  bool grad_input = false;
  bool grad_weight = false;
  bool grad_bias = false;
};

/// What the backward pass takes from the forward pass: each an FP8 copy with its scale_inv, or the
/// tensor in high precision with scale_inv undefined, or nothing at all.
struct LinearSaved {
  at::Tensor input;  ///< FP8: transposed, [K, pad16(M)]; high precision: [M, K]
  at::Tensor input_scale_inv;
  at::Tensor weight;  ///< FP8: transposed, [K, pad16(N)]; high precision: [N, K]
  at::Tensor weight_scale_inv;
};

struct LinearForward {
  at::Tensor output;
  LinearSaved saved;
};
LinearForward linear_forward(const at::Tensor& input, const at::Tensor& weight,
                             const std::optional<at::Tensor>& bias, const LinearRecipe& recipe,
                             LinearNeeds needs);

struct LinearGradients {
  at::Tensor input;
  at::Tensor weight;  ///< undefined where it was added to main_grad
  at::Tensor bias;
};
/// main_grad: undefined, or the float32 [N, K] that the weight's gradient is added to.
LinearGradients linear_backward(const at::Tensor& grad_output, const LinearSaved& saved,
                                at::ScalarType weight_dtype, at::ScalarType bias_dtype,
                                const LinearRecipe& recipe, LinearNeeds needs,
                                const at::Tensor& main_grad);

}  // namespace float8::ops
