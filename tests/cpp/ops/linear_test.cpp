#include <cmath>

#include "tests/cpp/ops/linear_fixture.h"

namespace float8::testing {
namespace {

TEST_P(LinearOperator, ForwardAndBackwardAreThoseOfTheReference) {
  for (const std::string& name : recipe_names()) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
      for (const std::int64_t tokens : {1, 7, 33, 80}) {
        SCOPED_TRACE(::testing::Message() << name << " " << dtype << " " << tokens << " tokens");
        check(operands({tokens}, 48, 80, dtype, /*with_bias=*/tokens % 2 == 1), recipe_named(name));
      }
    }
  }
}

TEST_P(LinearOperator, TakesInputsOfOneToFourDimensions) {
  for (const std::string& name : recipe_names()) {
    for (const std::vector<std::int64_t>& tokens :
         {std::vector<std::int64_t>{}, {5}, {2, 3}, {2, 3, 2}}) {
      SCOPED_TRACE(::testing::Message() << name << " " << tokens.size() + 1 << " dimensions");
      check(operands(tokens, 32, 16, at::kFloat, /*with_bias=*/true), recipe_named(name));
    }
  }
}

TEST_P(LinearOperator, NoTokensGiveZeroGradients) {
  for (const std::string& name : recipe_names()) {
    for (const bool with_bias : {false, true}) {
      SCOPED_TRACE(name);
      const LinearOperands t = operands({3, 0}, 32, 16, at::kBFloat16, with_bias);
      const at::Tensor output = linear(t.input, t.weight, t.bias, recipe_named(name));
      EXPECT_EQ(output.sizes(), (std::vector<std::int64_t>{3, 0, 16}));
      output.sum().backward();
      EXPECT_EQ(t.input.grad().sizes(), t.input.sizes());
      EXPECT_TRUE(at::equal(t.weight.grad(), at::zeros_like(t.weight)));
      if (with_bias) {
        EXPECT_TRUE(at::equal(t.bias->grad(), at::zeros_like(*t.bias)));
      }
    }
  }
}

TEST_P(LinearOperator, EveryFlagOfTheConfigurationKeepsToTheReference) {
  Float8LinearConfig config;
  config.emulate = true;
  for (const int flags : {0, 1, 2, 3, 4, 5, 6, 7}) {
    SCOPED_TRACE(flags);
    config.round_scales_to_power_of_2 = (flags & 1) != 0;
    config.force_recompute_fp8_weight_in_bwd = (flags & 2) != 0;
    config.cast_config_grad_output.target_dtype = (flags & 4) != 0 ? Format::kE4M3 : Format::kE5M2;
    check(operands({21}, 64, 32, at::kFloat, /*with_bias=*/true), make_recipe(config));
  }
}

TEST_P(LinearOperator, AnyProductMayStayInHighPrecision) {
  for (const int flags : {0, 1, 2, 3, 4, 5, 6, 7}) {
    SCOPED_TRACE(flags);
    LinearRecipe recipe = recipe_named("rowwise");
    const std::vector<std::int64_t> none;
    recipe.output_blocks = (flags & 1) != 0 ? none : recipe.output_blocks;
    recipe.grad_input_blocks = (flags & 2) != 0 ? none : recipe.grad_input_blocks;
    recipe.grad_weight_blocks = (flags & 4) != 0 ? none : recipe.grad_weight_blocks;
    check(operands({21}, 64, 32, at::kFloat, /*with_bias=*/true), recipe);
  }
}

TEST_P(LinearOperator, RecomputingTheWeightChangesNoBit) {
  for (const std::string& name : recipe_names()) {
    const LinearOperands t = operands({9}, 32, 48, at::kBFloat16, /*with_bias=*/false);
    LinearRecipe recipe = recipe_named(name);
    linear(t.input, t.weight, t.bias, recipe).backward(t.grad_output);
    const at::Tensor kept = t.input.grad().clone();
    t.input.mutable_grad().reset();
    recipe.recompute_weight = true;
    linear(t.input, t.weight, t.bias, recipe).backward(t.grad_output);
    EXPECT_TRUE(at::equal(t.input.grad(), kept)) << name;
  }
}

TEST_P(LinearOperator, StridesDoNotMatter) {
  const LinearRecipe recipe = recipe_named("rowwise");
  LinearOperands t = operands({20}, 32, 48, at::kFloat, /*with_bias=*/true);
  t.input = random({32, 20}).t().requires_grad_();
  t.weight = random({32, 48}).t().requires_grad_();
  t.grad_output = random({1, 48}).expand({20, 48});  // as a sum's backward pass makes them
  check(t, recipe);
}

TEST_P(LinearOperator, HighPrecisionGradientIsNear) {
  for (const std::string& name : recipe_names()) {
    const at::Tensor x = put(at::randn({64, 128})).requires_grad_();
    const at::Tensor w = put(at::randn({96, 128})).requires_grad_();
    const at::Tensor g = put(at::randn({64, 96}));
    linear(x, w, std::nullopt, recipe_named(name)).backward(g);
    const auto error = [](const at::Tensor& got, const at::Tensor& want) {
      return ((to_double(got) - want).norm() / want.norm()).item<double>();
    };
    // E4M3's casts are off by 2.5 % each, E5M2's by 5 %.
    EXPECT_LT(error(x.grad(), at::mm(to_double(g), to_double(w))), 0.07) << name;
    EXPECT_LT(error(w.grad(), at::mm(to_double(g).t(), to_double(x))), 0.07) << name;
  }
}

TEST_P(LinearOperator, RowwiseKeepsANonFiniteTokenInItsRow) {
  const LinearRecipe recipe = recipe_named("rowwise");
  LinearOperands t = operands({8}, 32, 16, at::kFloat, /*with_bias=*/true);
  const at::Tensor clean = linear(t.input, t.weight, t.bias, recipe).detach();
  for (const double bad : {std::numeric_limits<double>::infinity(), std::nan("")}) {
    at::Tensor x = t.input.detach().clone();
    x[3][4] = bad;
    const at::Tensor output = linear(x, t.weight, t.bias, recipe);
    EXPECT_FALSE(at::isfinite(output[3]).any().item<bool>()) << bad;
    for (const int row : {0, 1, 2, 4, 5, 6, 7}) {
      EXPECT_TRUE(at::equal(output[row], clean[row])) << bad << ", row " << row;
    }
  }
}

TEST_P(LinearOperator, ANonFiniteInputNeverBecomesAFiniteOutput) {
  for (const std::string& name : recipe_names()) {
    for (const double bad : {std::numeric_limits<double>::infinity(), std::nan("")}) {
      LinearOperands t = operands({8}, 32, 16, at::kFloat, /*with_bias=*/true);
      at::Tensor x = t.input.detach().clone();
      x[3][4] = bad;
      x.requires_grad_();
      const at::Tensor output = linear(x, t.weight, t.bias, recipe_named(name));
      EXPECT_FALSE(at::isfinite(output[3]).any().item<bool>()) << name << " " << bad;
      at::Tensor g = t.grad_output.clone();
      g[5][2] = bad;
      output.backward(g);
      EXPECT_FALSE(at::isfinite(x.grad()[5]).any().item<bool>()) << name << " " << bad;
      EXPECT_FALSE(at::isfinite(t.weight.grad()[2]).any().item<bool>()) << name << " " << bad;
      EXPECT_FALSE(std::isfinite(t.bias->grad()[2].item<double>())) << name << " " << bad;
      // Column 4 of the input, which is column 4 of the weight's gradient.
      EXPECT_FALSE(at::isfinite(t.weight.grad().select(1, 4)).any().item<bool>()) << name;
    }
  }
}

FLOAT8_ON_EVERY_BACKEND(LinearOperator);

}  // namespace
}  // namespace float8::testing
