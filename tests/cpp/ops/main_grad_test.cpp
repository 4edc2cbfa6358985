// The weight's gradient added to a float32 main_grad, in the backward pass.

#include <torch/types.h>

#include "tests/cpp/ops/calls.h"
#include "tests/cpp/ops/linear_fixture.h"

namespace float8::testing {
namespace {

class MainGrad : public LinearOperator {};

TEST_P(MainGrad, HoldsTheSumOfTheMicrobatches) {
  for (const std::string& name : recipe_names()) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      SCOPED_TRACE(::testing::Message() << name << " " << dtype);
      const LinearRecipe recipe = recipe_named(name);
      const at::Tensor weight = random({48, 64}, dtype).requires_grad_();
      const at::Tensor start = random({48, 64});
      const at::Tensor main_grad = start.clone();
      at::Tensor want = to_double(start);
      at::Tensor bound = at::zeros_like(want);
      for (int i = 0; i < 3; ++i) {
        LinearOperands t = operands({21}, 64, 48, dtype, /*with_bias=*/true);
        t.weight = weight;
        const ReferenceLinear reference(t, recipe);
        linear(t.input, t.weight, t.bias, recipe, main_grad).backward(t.grad_output);
        want = want + reference.grad_weight.value;
        bound = bound + reference.grad_weight.bound;
        EXPECT_TRUE(is_close(t.input.grad(), reference.grad_input));
        EXPECT_TRUE(is_close(t.bias->grad().view({1, -1}), reference.grad_bias));
      }
      EXPECT_FALSE(weight.grad().defined());
      ReferenceProduct sum = {at::zeros({48, 1}), at::zeros({64, 1})};
      sum.value = want;
      sum.bound = bound + want.abs() * 4 * unit_roundoff(at::kFloat);  // three sums in float32
      EXPECT_TRUE(is_close(main_grad, sum));
    }
  }
}

TEST_P(MainGrad, IsWrittenByTheProductItself) {
  const LinearOperands t = operands({16}, 64, 48, at::kBFloat16, /*with_bias=*/false);
  const at::Tensor main_grad = put(at::zeros({48, 64}));
  const Calls calls;
  linear(t.input, t.weight, t.bias, recipe_named("rowwise"), main_grad).backward(t.grad_output);
  EXPECT_EQ(calls["float8::scaled_mm_add_"], 1);
  EXPECT_EQ(calls["float8::scaled_mm"], 2);
}

TEST_P(MainGrad, TwoForwardPassesBeforeTheirBackwardPasses) {
  const LinearOperands first = operands({16}, 64, 48, at::kFloat, /*with_bias=*/false);
  LinearOperands second = operands({16}, 64, 48, at::kFloat, /*with_bias=*/false);
  second.weight = first.weight;
  const LinearRecipe recipe = recipe_named("tensorwise");
  const at::Tensor main_grad = put(at::zeros({48, 64}));
  const at::Tensor y = linear(first.input, first.weight, std::nullopt, recipe, main_grad);
  const at::Tensor z = linear(second.input, second.weight, std::nullopt, recipe, main_grad);
  z.backward(second.grad_output);
  y.backward(first.grad_output);
  const at::Tensor want_y = linear(first.input, first.weight, std::nullopt, recipe);
  want_y.backward(first.grad_output);
  linear(second.input, second.weight, std::nullopt, recipe).backward(second.grad_output);
  EXPECT_TRUE(at::allclose(main_grad, first.weight.grad()));
}

TEST_P(MainGrad, OfAFrozenWeightStaysAsItIs) {
  const LinearOperands t = operands({16}, 64, 48, at::kFloat, /*with_bias=*/false);
  t.weight.requires_grad_(false);
  const at::Tensor main_grad = put(at::ones({48, 64}));
  linear(t.input, t.weight, t.bias, recipe_named("tensorwise"), main_grad).backward(t.grad_output);
  EXPECT_TRUE(at::equal(main_grad, at::ones_like(main_grad)));
}

TEST_P(MainGrad, RefusesTensorsThatDoNotFit) {
  const LinearOperands t = operands({16}, 64, 48, at::kFloat, /*with_bias=*/false);
  for (const at::Tensor& wrong : {at::zeros({64, 48}), at::zeros({48, 64}, at::kBFloat16),
                                  at::zeros({48}), at::zeros({48, 64}).requires_grad_()}) {
    const std::string error = error_of(
        [&] { linear(t.input, t.weight, t.bias, recipe_named("tensorwise"), put(wrong)); });
    EXPECT_NE(error.find("[linear] main_grad must be [48, 64] float32 on "), std::string::npos)
        << error;
  }
}

TEST_P(MainGrad, RefusesWeightsWhoseHooksWouldWait) {
  const LinearRecipe recipe = recipe_named("tensorwise");
  const at::Tensor main_grad = put(at::zeros({48, 64}));
  const auto error = [&](const LinearOperands& t) {
    return error_of([&] { linear(t.input, t.weight, t.bias, recipe, main_grad); });
  };
  const LinearOperands hooked = operands({16}, 64, 48, at::kFloat, /*with_bias=*/false);
  hooked.weight.register_hook([](const at::Tensor& gradient) { return gradient; });
  EXPECT_NE(error(hooked).find("hooks wait for one"), std::string::npos);

  struct Hook : torch::autograd::FunctionPostHook {
    torch::autograd::variable_list operator()(const torch::autograd::variable_list& outputs,
                                              const torch::autograd::variable_list&) override {
      return outputs;
    }
  };
  const LinearOperands in_ddp = operands({16}, 64, 48, at::kFloat, /*with_bias=*/false);
  const auto accumulator = torch::autograd::impl::grad_accumulator(in_ddp.weight);
  accumulator->add_post_hook(std::make_unique<Hook>());  // as DDP does
  EXPECT_NE(error(in_ddp).find("DDP"), std::string::npos);

  LinearOperands computed = operands({16}, 64, 48, at::kFloat, /*with_bias=*/false);
  computed.weight = computed.weight * 2;
  EXPECT_NE(error(computed).find("must be a leaf"), std::string::npos);
}

FLOAT8_ON_EVERY_BACKEND(MainGrad);

}  // namespace
}  // namespace float8::testing
