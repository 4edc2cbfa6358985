// What linear does, counted: the operators it calls, what it keeps for the backward pass, and how
// it behaves under the modes of autograd.

#include <ATen/autocast_mode.h>
#include <c10/core/InferenceMode.h>

#include "tests/cpp/ops/calls.h"
#include "tests/cpp/ops/linear_fixture.h"

namespace float8::testing {
namespace {

// Autocast to bfloat16, off again at the end of the scope.
class Autocast {
 public:
  explicit Autocast(at::DeviceType device) : device_(device) {
    at::autocast::set_autocast_enabled(device_, true);
    at::autocast::set_autocast_dtype(device_, at::kBFloat16);
  }
  ~Autocast() {
    at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(device_, false);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  at::DeviceType device_;
};

class LinearGraph : public LinearOperator {
 protected:
  static at::Tensor run(const LinearOperands& t, const LinearRecipe& recipe) {
    return linear(t.input, t.weight, t.bias, recipe);
  }
};

TEST_P(LinearGraph, ThreeProductsInFp8AndNoOther) {
  for (const char* name : {"tensorwise", "rowwise"}) {
    const LinearOperands t = operands({8}, 32, 16, at::kBFloat16, /*with_bias=*/true);
    const Calls calls;
    const at::Tensor output = run(t, recipe_named(name));
    EXPECT_EQ(calls["float8::linear"], 1) << name;
    EXPECT_EQ(calls["float8::scaled_mm"], 1) << name;
    EXPECT_EQ(calls["float8::quantize_pair"], 2) << name;
    output.backward(t.grad_output);
    EXPECT_EQ(calls["float8::scaled_mm"], 3) << name;
    EXPECT_EQ(calls["float8::quantize_pair"], 3) << name;
    EXPECT_EQ(calls["float8::quantize"], 0) << name;
  }
}

TEST_P(LinearGraph, GwHpMultipliesTheWeightsGradientInHighPrecision) {
  const LinearOperands t = operands({8}, 32, 16, at::kBFloat16, /*with_bias=*/false);
  const Calls calls;
  run(t, recipe_named("rowwise_with_gw_hp")).backward(t.grad_output);
  EXPECT_EQ(calls["float8::scaled_mm"], 2);
  EXPECT_GE(calls["aten::mm"], 1);
}

TEST_P(LinearGraph, NothingIsMadeForGradientsThatNobodyAsksFor) {
  const LinearRecipe recipe = recipe_named("tensorwise");
  const LinearOperands t = operands({8}, 32, 16, at::kFloat, /*with_bias=*/false);
  {
    const at::NoGradGuard no_grad;
    const Calls calls;
    EXPECT_FALSE(run(t, recipe).requires_grad());
    EXPECT_EQ(calls["float8::quantize"], 2);
    EXPECT_EQ(calls["float8::quantize_pair"], 0);
  }
  {
    t.weight.requires_grad_(false);  // frozen: no copy of the input, no product for it
    const Calls calls;
    run(t, recipe).backward(t.grad_output);
    EXPECT_EQ(calls["float8::scaled_mm"], 2);
    EXPECT_EQ(calls["float8::quantize_pair"], 1);  // the weight's
    EXPECT_FALSE(t.weight.grad().defined());
    EXPECT_TRUE(t.input.grad().defined());
  }
  {
    t.weight.requires_grad_(true);
    t.input.requires_grad_(false);
    const Calls calls;
    run(t, recipe).backward(t.grad_output);
    EXPECT_EQ(calls["float8::scaled_mm"], 2);
    EXPECT_EQ(calls["float8::quantize_pair"], 1);  // the input's
  }
}

TEST_P(LinearGraph, OnlyABiasThatLearnsNeedsNoProduct) {
  const LinearOperands t = operands({8}, 32, 16, at::kFloat, /*with_bias=*/true);
  t.input.requires_grad_(false);
  t.weight.requires_grad_(false);
  const Calls calls;
  run(t, recipe_named("rowwise")).backward(t.grad_output);
  EXPECT_EQ(calls["float8::scaled_mm"], 1);
  EXPECT_TRUE(at::allclose(t.bias->grad(), t.grad_output.sum(0)));
}

TEST_P(LinearGraph, RecomputingQuantizesTheWeightInTheBackwardPass) {
  LinearRecipe recipe = recipe_named("tensorwise");
  recipe.recompute_weight = true;
  const LinearOperands t = operands({8}, 32, 16, at::kFloat, /*with_bias=*/false);
  const Calls calls;
  const at::Tensor output = run(t, recipe);
  EXPECT_EQ(calls["float8::quantize"], 1);       // the weight's, for the forward pass
  EXPECT_EQ(calls["float8::quantize_pair"], 1);  // the input's
  output.backward(t.grad_output);
  EXPECT_EQ(calls["float8::quantize"], 2);
}

// Counts who holds the storage of an input that is no leaf.
TEST_P(LinearGraph, TheBackwardPassKeepsFp8CopiesInsteadOfTheInput) {
  for (const std::string& name : recipe_names()) {
    const LinearOperands t = operands({8}, 32, 16, at::kFloat, /*with_bias=*/false);
    const at::Tensor x = t.input * 2;
    const auto holders = [&x] { return x.use_count() + x.storage().use_count(); };
    const auto before = holders();
    const at::Tensor output = linear(x, t.weight, t.bias, recipe_named(name));
    if (name == "rowwise_with_gw_hp") {
      EXPECT_GT(holders(), before) << "its weight gradient needs the input";
    } else {
      EXPECT_EQ(holders(), before) << name;
    }
  }
}

TEST_P(LinearGraph, InferenceModeAndNoGradChangeNoBit) {
  for (const std::string& name : recipe_names()) {
    const LinearOperands t = operands({8}, 32, 16, at::kBFloat16, /*with_bias=*/true);
    const at::Tensor want = run(t, recipe_named(name)).detach();
    {
      const at::NoGradGuard no_grad;
      EXPECT_TRUE(at::equal(run(t, recipe_named(name)), want)) << name;
    }
    const c10::InferenceMode inference;
    const at::Tensor got = run(t, recipe_named(name));
    EXPECT_TRUE(got.is_inference());
    EXPECT_TRUE(at::equal(got, want)) << name;
  }
}

TEST_P(LinearGraph, LeavesHaveNoGradient) {
  const at::Tensor x = random({16, 32}).requires_grad_();
  const auto [data, scale_inv, data_t, scale_inv_t] = quantize_pair(x, at::kFloat8_e4m3fn);
  EXPECT_FALSE(data.requires_grad() || scale_inv.requires_grad() || data_t.requires_grad());
  EXPECT_FALSE(
      scaled_mm(data, data, scale_inv, scale_inv, std::nullopt, at::kFloat).requires_grad());
}

TEST_P(LinearGraph, ASecondDerivativeIsAnError) {
  const LinearOperands t = operands({8}, 32, 16, at::kFloat, /*with_bias=*/false);
  const at::Tensor output = run(t, recipe_named("tensorwise"));
  const std::string error = error_of([&] {
    torch::autograd::grad({output}, {t.input}, {t.grad_output}, /*retain_graph=*/true,
                          /*create_graph=*/true);
  });
  EXPECT_EQ(error,
            "[linear] FP8 casts have no second derivative, got a backward pass with "
            "create_graph=True; leave the layers that need one in high precision");
}

TEST_P(LinearGraph, AGraphThatIsKeptGivesTheSameGradientTwice) {
  const LinearOperands t = operands({8}, 32, 16, at::kFloat, /*with_bias=*/false);
  const at::Tensor output = run(t, recipe_named("rowwise"));
  const auto first =
      torch::autograd::grad({output}, {t.weight}, {t.grad_output}, /*retain_graph=*/true);
  const auto second = torch::autograd::grad({output}, {t.weight}, {t.grad_output});
  EXPECT_TRUE(at::equal(first[0], second[0]));
}

TEST_P(LinearGraph, AutocastCastsTheInputAndKeepsTheWeight) {
  const at::DeviceType device = GetParam().device.type();
  for (const std::string& name : recipe_names()) {
    const LinearOperands t = operands({8}, 32, 16, at::kFloat, /*with_bias=*/true);
    const at::Tensor want = linear(t.input.to(at::kBFloat16), t.weight, t.bias, recipe_named(name));
    const Autocast autocast(device);
    const at::Tensor got = run(t, recipe_named(name));
    got.backward(t.grad_output.to(at::kBFloat16));  // still under autocast
    EXPECT_EQ(got.scalar_type(), at::kBFloat16) << name;
    EXPECT_TRUE(at::equal(got, want)) << name;
    EXPECT_EQ(t.weight.grad().scalar_type(), at::kFloat) << name;
    EXPECT_EQ(t.input.grad().scalar_type(), at::kFloat) << name;
  }
}

FLOAT8_ON_EVERY_BACKEND(LinearGraph);

}  // namespace
}  // namespace float8::testing
