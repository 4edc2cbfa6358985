#include <ATen/ops/mm.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include "src/ops/linear/copies.h"
#include "src/ops/linear/linear.h"

namespace float8::ops {
namespace {

// accumulator += a b, not rounded to the operands' dtype on the way.
void add_product(const at::Tensor& accumulator, const at::Tensor& a, const at::Tensor& b) {
  if (a.is_cuda() && a.scalar_type() != at::kFloat) {
    accumulator.add_(at::mm(a, b, at::kFloat));  // only CUDA's has a result of another dtype
  } else {
    accumulator.addmm_(in_dtype(a, at::kFloat), in_dtype(b, at::kFloat));
  }
}

}  // namespace

LinearGradients linear_backward(const at::Tensor& grad_output, const LinearSaved& saved,
                                at::ScalarType weight_dtype, at::ScalarType bias_dtype,
                                const LinearRecipe& recipe, LinearNeeds needs,
                                const at::Tensor& main_grad) {
  // A backward pass may run under autocast, which would cast the operands of mm.
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  forget_shared_input(grad_output.device());  // memory is scarcest now
  const auto grad_input_gemm = scaling_of(recipe.grad_input_blocks);
  const auto grad_weight_gemm = scaling_of(recipe.grad_weight_blocks);
  const at::Tensor g = grad_output.reshape_symint({-1, grad_output.sym_size(-1)});
  const auto [g_copy, g_copy_t] = make_copies(
      g, {.dtype = scalar_type_of(recipe.grad_output_dtype),
          .power_of_two = recipe.power_of_two,
          .straight = block_if(needs.grad_input, grad_input_gemm, &GemmScaling::a),
          .transposed = block_if(needs.grad_weight, grad_weight_gemm, &GemmScaling::a)});

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
    if (grad_weight_gemm && main_grad.defined()) {
      scaled_mm_add_(main_grad, g_copy_t.data, saved.input, g_copy_t.scale_inv,
                     saved.input_scale_inv, recipe.grad_weight_fast_accum, recipe.emulate);
    } else if (grad_weight_gemm) {
      gradients.weight =
          scaled_mm(g_copy_t.data, saved.input, g_copy_t.scale_inv, saved.input_scale_inv,
                    std::nullopt, weight_dtype, recipe.grad_weight_fast_accum, recipe.emulate);
    } else {
      const at::Tensor x = saved.input.reshape_symint({-1, saved.input.sym_size(-1)});
      if (main_grad.defined()) {
        add_product(main_grad, g.t(), x);
      } else {
        gradients.weight = in_dtype(at::mm(g.t(), x), weight_dtype);
      }
    }
  }
  if (needs.grad_bias) {
    gradients.bias = g.sum(0, /*keepdim=*/false, bias_dtype);
  }
  return gradients;
}

}  // namespace float8::ops
