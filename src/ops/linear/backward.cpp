#include <ATen/ops/mm.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include "src/ops/linear/linear.h"

namespace float8::ops {
namespace {

struct Copy {
  at::Tensor data;
  at::Tensor scale_inv;
};

}  // namespace

LinearGradients linear_backward(const at::Tensor& grad_output, const LinearSaved& saved,
                                at::ScalarType weight_dtype, at::ScalarType bias_dtype,
                                const LinearRecipe& recipe, LinearNeeds needs) {
  // A backward pass may run under autocast, which would cast the operands of mm.
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  const auto grad_input_gemm = scaling_of(recipe.grad_input_blocks);
  const auto grad_weight_gemm = scaling_of(recipe.grad_weight_blocks);
  const at::Tensor g = grad_output.reshape_symint({-1, grad_output.sym_size(-1)});
  const at::ScalarType g_format = scalar_type_of(recipe.grad_output_dtype);
  const bool straight = needs.grad_input && grad_input_gemm;
  const bool transposed = needs.grad_weight && grad_weight_gemm;

  Copy g_copy;
  Copy g_copy_t;
  if (straight && transposed) {
    std::tie(g_copy.data, g_copy.scale_inv, g_copy_t.data, g_copy_t.scale_inv) =
        quantize_pair(g, g_format, grad_input_gemm->a, grad_weight_gemm->a, recipe.power_of_two);
  } else if (straight) {
    std::tie(g_copy.data, g_copy.scale_inv) =
        quantize(g, g_format, grad_input_gemm->a, recipe.power_of_two);
  } else if (transposed) {
    std::tie(g_copy_t.data, g_copy_t.scale_inv) =
        quantize(g, g_format, grad_weight_gemm->a, recipe.power_of_two, /*transpose=*/true);
  }

  LinearGradients gradients;
  if (needs.grad_input) {
    at::Tensor product;
    c10::SymInt k = saved.weight.sym_size(1);
    if (grad_input_gemm) {
      Copy weight = {saved.weight, saved.weight_scale_inv};
      if (weight.scale_inv.defined()) {
        k = saved.weight.sym_size(0);
      } else {
        // `after` ties the call to this pass: a partitioner of a traced graph would otherwise move
        // it into the forward pass and keep the copy that the recipe asked not to keep.
        std::tie(weight.data, weight.scale_inv) =
            quantize(saved.weight, scalar_type_of(recipe.weight_dtype), grad_input_gemm->b,
                     recipe.power_of_two, /*transpose=*/true, /*after=*/g);
      }
      product =
          scaled_mm(g_copy.data, weight.data, g_copy.scale_inv, weight.scale_inv, std::nullopt,
                    g.scalar_type(), recipe.grad_input_fast_accum, recipe.emulate);
    } else {
      product = at::mm(g, in_dtype(saved.weight, g.scalar_type()));
    }
    c10::SymDimVector shape(grad_output.sym_sizes().begin(), grad_output.sym_sizes().end() - 1);
    shape.push_back(k);
    gradients.input = product.reshape_symint(shape);
  }
  if (needs.grad_weight) {
    if (grad_weight_gemm) {
      gradients.weight =
          scaled_mm(g_copy_t.data, saved.input, g_copy_t.scale_inv, saved.input_scale_inv,
                    std::nullopt, weight_dtype, recipe.grad_weight_fast_accum, recipe.emulate);
    } else {
      const at::Tensor x = saved.input.reshape_symint({-1, saved.input.sym_size(-1)});
      gradients.weight = in_dtype(at::mm(g.t(), x), weight_dtype);
    }
  }
  if (needs.grad_bias) {
    gradients.bias = g.sum(0, /*keepdim=*/false, bias_dtype);
  }
  return gradients;
}

}  // namespace float8::ops
