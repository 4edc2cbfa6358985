// Layers that are called one after another with one input share its FP8 copies.

#include <c10/core/InferenceMode.h>
#include <torch/types.h>

#include <functional>

#include "tests/cpp/ops/kept_copies_fixture.h"

namespace float8::testing {
namespace {

class SharedInput : public KeptCopies {};

TEST_P(SharedInput, LayersWithOneInputQuantizeItOnce) {
  for (const std::string& name : recipe_names()) {
    SCOPED_TRACE(name);
    const LinearRecipe recipe = recipe_named(name);
    const at::Tensor x = random({2, 10, 64}).requires_grad_();
    const std::vector<at::Tensor> weights = {weight(48), weight(16), weight(16)};
    const auto gradients = [&](const std::function<at::Tensor()>& input) {
      std::vector<at::Tensor> outputs;
      outputs.reserve(weights.size());
      for (const at::Tensor& w : weights) {
        outputs.push_back(run(input(), w, recipe).flatten());
      }
      const at::Tensor y = at::cat(outputs);
      std::vector<at::Tensor> all = {x, weights[0], weights[1], weights[2]};
      all = torch::autograd::grad({y}, all, {at::ones_like(y)});
      all.push_back(y.detach());
      return all;
    };
    const std::vector<at::Tensor> want = gradients([&] { return x * 1; });  // a new tensor each
    const Calls calls;
    run(x, weights[0], recipe);
    run(x, weights[1], recipe);
    run(x, weights[2], recipe);
    EXPECT_EQ(quantized(calls), 1 + 3) << "x once, each weight once";
    const std::vector<at::Tensor> got = gradients([&] { return x; });
    for (std::size_t i = 0; i < want.size(); ++i) {
      EXPECT_TRUE(i == 0 ? at::allclose(got[i], want[i]) : at::equal(got[i], want[i])) << i;
    }
  }
}

TEST_P(SharedInput, AnInputThatChangedIsQuantizedAgain) {
  const std::map<std::string, std::function<void(at::Tensor&)>> changes = {
      {"in place", [](at::Tensor& x) { x.mul_(3); }},
      {"a view of it", [](at::Tensor& x) { x[0].fill_(7); }},
      {"without autograd",
       [](at::Tensor& x) {
         const at::NoGradGuard no_grad;
         x.add_(1);
       }},
      {"its alias", [](at::Tensor& x) { x.detach().neg_(); }},
      {"memory replaced",
       [this](at::Tensor& x) {
         x.set_data(random({20, 64}));
       }},
      {"dtype replaced",
       [this](at::Tensor& x) {
         x.set_data(random({20, 64}, at::kBFloat16));
       }},
      {"strides changed",
       [](at::Tensor& x) {
         x.as_strided_({20, 64}, {1, 20});
       }},
      {"another tensor",
       [this](at::Tensor& x) {
         x = random({20, 64});
       }},
      {"copied into",
       [this](at::Tensor& x) {
         x.copy_(random({20, 64}));
       }},
  };
  for (const auto& [name, change] : changes) {
    SCOPED_TRACE(name);
    at::Tensor x = random({20, 64});
    const at::Tensor first = weight();
    const at::Tensor second = weight();
    run(x, first);
    change(x);
    const at::Tensor got = run(x, second);
    EXPECT_TRUE(at::equal(got, fresh(x, second)));
  }
}

TEST_P(SharedInput, AnInputWithOtherMemoryAtTheSameAddressIsQuantizedAgain) {
  const at::Tensor memory = random({20, 64});
  const auto view = [&] { return at::from_blob(memory.data_ptr(), {20, 64}, memory.options()); };
  at::Tensor x = view();
  const at::Tensor other = weight();
  run(x, weight());
  memory.mul_(3);
  x.set_data(view());
  const at::Tensor got = run(x, other);
  EXPECT_TRUE(at::equal(got, fresh(x, other)));
}

TEST_P(SharedInput, AnInputWithOtherStridesIsQuantizedAgain) {
  at::Tensor x = random({64, 64});
  const at::Tensor other = weight();
  run(x, weight());
  x.set_data(x.t());  // raises no version
  const at::Tensor got = run(x, other);
  EXPECT_TRUE(at::equal(got, fresh(x, other)));
}

TEST_P(SharedInput, AliasesWithVersionsOfTheirOwnAreNotTakenForOneAnother) {
  const at::Tensor x = random({20, 64});
  const at::Tensor other = weight();
  run(x.variable_data(), weight());  // Python's x.data
  x.variable_data().mul_(3);
  const at::Tensor got = run(x.variable_data(), other);
  EXPECT_TRUE(at::equal(got, fresh(x, other)));
}

TEST_P(SharedInput, OneLayerCalledAgainQuantizesAgain) {
  const at::Tensor x = random({20, 64});
  const at::Tensor w = weight();
  const Calls calls;
  run(x, w);
  run(x, w);
  EXPECT_EQ(quantized(calls), 4);
}

TEST_P(SharedInput, AnotherCastOfTheInputIsMade) {
  const at::Tensor x = random({20, 64});
  const at::Tensor w = weight();
  for (const std::string& name : recipe_names()) {
    const at::Tensor other = weight();
    run(x, w);
    const at::Tensor got = run(x, other, recipe_named(name));
    EXPECT_TRUE(at::equal(got, run(x.clone(), other.detach().clone(), recipe_named(name)))) << name;
  }
  LinearRecipe powers = recipe_named("tensorwise");
  powers.power_of_two = true;
  const at::Tensor other = weight();
  run(x, w);
  const at::Tensor got = run(x, other, powers);
  EXPECT_TRUE(at::equal(got, run(x.clone(), other.detach().clone(), powers)));
}

TEST_P(SharedInput, AFrozenLayerLeavesTheTransposedCopyToTheNext) {
  const at::Tensor x = random({20, 64}).requires_grad_();
  const at::Tensor frozen = weight().detach();
  const Calls calls;
  run(x, frozen);
  EXPECT_EQ(calls["float8::quantize"], 1) << "x";
  EXPECT_EQ(calls["float8::quantize_pair"], 1) << "the weight, whose transpose gives x's gradient";
  run(x, weight());
  EXPECT_EQ(calls["float8::quantize"], 2) << "the transposed x alone";
  EXPECT_EQ(calls["float8::quantize_pair"], 2) << "the weight";
}

TEST_P(SharedInput, NothingIsKeptOfInferenceMode) {
  const at::Tensor x = random({20, 64}).requires_grad_();
  const at::Tensor w = weight();
  {
    const c10::InferenceMode inference;
    run(x, w);
  }
  const Calls calls;
  run(x, weight());
  EXPECT_EQ(calls["float8::quantize_pair"], 2) << "x and the weight, from nothing";
}

TEST_P(SharedInput, WithoutABackwardPassEachLayerQuantizes) {
  // The input may be a buffer that is refilled by address, which raises no version.
  const auto refilled = [&](bool grad_mode, bool requires_grad) {
    const at::AutoGradMode mode(grad_mode);
    const at::Tensor x = random({20, 64});
    const at::Tensor first = weight().requires_grad_(requires_grad);
    const at::Tensor second = weight().requires_grad_(requires_grad);
    run(x, first);
    x.variable_data().mul_(3);
    const at::Tensor got = run(x, second);
    return at::equal(got, fresh(x, second));
  };
  EXPECT_TRUE(refilled(/*grad_mode=*/false, /*requires_grad=*/true));
  EXPECT_TRUE(refilled(/*grad_mode=*/true, /*requires_grad=*/false));
}

TEST_P(SharedInput, TheBackwardPassFreesTheInputsCopies) {
  const at::Tensor x = random({20, 64});
  const at::Tensor w = weight();
  const at::Tensor y = run(x, w);
  y.sum().backward();
  const Calls calls;
  run(x, weight());
  EXPECT_EQ(quantized(calls), 2);
}

FLOAT8_ON_EVERY_BACKEND(SharedInput);

}  // namespace
}  // namespace float8::testing
