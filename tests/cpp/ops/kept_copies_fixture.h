#pragma once

#include "tests/cpp/ops/calls.h"
#include "tests/cpp/ops/linear_fixture.h"

namespace float8::testing {

/// Copies that one call makes and another reads: counts how often a tensor is quantized, and
/// compares with the bits of a call that shares nothing.
class KeptCopies : public LinearOperator {
 protected:
  /// Quantizations, whether of one copy or of two.
  static int quantized(const Calls& calls) {
    return calls["float8::quantize"] + calls["float8::quantize_pair"];
  }

  at::Tensor weight(std::int64_t n = 48) const { return random({n, 64}).requires_grad_(); }

  static at::Tensor run(const at::Tensor& x, const at::Tensor& w,
                        const LinearRecipe& recipe = recipe_named("tensorwise")) {
    return linear(x, w, std::nullopt, recipe);
  }

  /// What run gives for tensors that no call has seen. Called after the run that is compared with
  /// it, since it puts its own copies in the place of those that wait.
  static at::Tensor fresh(const at::Tensor& x, const at::Tensor& w) {
    return run(x.detach().clone(), w.detach().clone());
  }
};

}  // namespace float8::testing
