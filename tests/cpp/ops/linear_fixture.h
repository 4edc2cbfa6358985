#pragma once

#include <torch/csrc/autograd/autograd.h>

#include <optional>
#include <string>
#include <vector>

#include "float8/config.h"
#include "float8/ops.h"
#include "tests/cpp/ops/backend.h"
#include "tests/cpp/ops/reference.h"

namespace float8::testing {

/// The recipe of that name, with emulation: what the CPU needs.
inline LinearRecipe recipe_named(const std::string& name) {
  Float8LinearConfig config = Float8LinearConfig::from_recipe_name(name);
  config.emulate = true;
  return make_recipe(config);
}

/// The operands of one layer, leaves of autograd.
struct LinearOperands {
  at::Tensor input;
  at::Tensor weight;
  std::optional<at::Tensor> bias;
  at::Tensor grad_output;
};

/// A linear layer in double, from the copies that the reference quantizes.
struct ReferenceLinear {
  ReferenceLinear(const LinearOperands& t, const LinearRecipe& r) {
    const at::Tensor x = t.input.detach().reshape({-1, t.input.size(-1)});
    const at::Tensor w = t.weight.detach();
    const at::Tensor g = t.grad_output.detach().reshape({-1, t.grad_output.size(-1)});
    output = product(r.output_blocks, {x, r.input_dtype, false}, {w, r.weight_dtype, false}, r);
    grad_input =
        product(r.grad_input_blocks, {g, r.grad_output_dtype, false}, {w, r.weight_dtype, true}, r);
    grad_weight =
        product(r.grad_weight_blocks, {g, r.grad_output_dtype, true}, {x, r.input_dtype, true}, r);
    if (t.bias) {
      output.bound = output.bound + output.value.abs() * unit_roundoff(t.input.scalar_type());
      output.value = output.value + to_double(t.bias->to(t.input.scalar_type()));
      const at::Tensor ones = at::ones({1, g.size(0)}, at::kDouble);
      grad_bias = ReferenceProduct(ones, to_double(g).t());
    }
  }

  ReferenceProduct output;
  ReferenceProduct grad_input;
  ReferenceProduct grad_weight;
  ReferenceProduct grad_bias;  ///< [1, N]

 private:
  struct Operand {
    at::Tensor values;
    Format format;
    bool transpose;
  };

  static ReferenceProduct product(const std::vector<std::int64_t>& blocks, const Operand& a,
                                  const Operand& b, const LinearRecipe& recipe) {
    if (blocks.empty()) {
      const auto plain = [](const Operand& o) {
        return to_double(o.transpose ? o.values.t() : o.values);
      };
      return {plain(a), plain(b)};
    }
    const auto cast = [&recipe](const Operand& o, Block block) {
      return reference_roundtrip(o.values, o.format, block, recipe.power_of_two, o.transpose);
    };
    return {cast(a, {blocks[0], blocks[1]}), cast(b, {blocks[2], blocks[3]})};
  }
};

class LinearOperator : public OnBackend {
 protected:
  static LinearRecipe recipe_named(const std::string& name) {
    LinearRecipe recipe = testing::recipe_named(name);
    recipe.emulate = GetParam().emulate;
    return recipe;
  }

  LinearOperands operands(std::vector<std::int64_t> tokens, std::int64_t k, std::int64_t n,
                          at::ScalarType dtype, bool with_bias) const {
    std::vector<std::int64_t> out_sizes = tokens;
    tokens.push_back(k);
    out_sizes.push_back(n);
    LinearOperands t;
    t.input = random(tokens, dtype).requires_grad_();
    t.weight = random({n, k}, dtype).requires_grad_();
    if (with_bias) {
      t.bias = random({n}, dtype).requires_grad_();
    }
    t.grad_output = random(out_sizes, dtype);
    return t;
  }

  /// Forward and backward against the reference.
  static void check(const LinearOperands& t, const LinearRecipe& recipe) {
    const ReferenceLinear want(t, recipe);
    const at::Tensor output = linear(t.input, t.weight, t.bias, recipe);
    std::vector<std::int64_t> sizes = t.input.sizes().vec();
    sizes.back() = t.weight.size(0);
    ASSERT_EQ(output.sizes(), sizes);
    ASSERT_EQ(output.scalar_type(), t.input.scalar_type());
    EXPECT_TRUE(is_close(output.reshape({-1, sizes.back()}), want.output));
    output.backward(t.grad_output);
    ASSERT_EQ(t.input.grad().sizes(), t.input.sizes());
    EXPECT_TRUE(is_close(t.input.grad().reshape({-1, t.input.size(-1)}), want.grad_input));
    EXPECT_TRUE(is_close(t.weight.grad(), want.grad_weight, /*roundings=*/2));
    if (t.bias) {
      EXPECT_TRUE(is_close(t.bias->grad().view({1, -1}), want.grad_bias));
    }
  }
};

}  // namespace float8::testing
