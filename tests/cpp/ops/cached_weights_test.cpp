// Weights whose FP8 copies live until the weights change.

#include "float8/cached_weights.h"

#include <c10/core/InferenceMode.h>
#include <torch/types.h>

#include <functional>

#include "tests/cpp/ops/kept_copies_fixture.h"

namespace float8::testing {
namespace {

class CachedWeightsOfLayers : public KeptCopies {};

TEST_P(CachedWeightsOfLayers, CachedWeightsAreQuantizedOncePerStep) {
  for (const std::string& name : recipe_names()) {
    SCOPED_TRACE(name);
    const LinearRecipe recipe = recipe_named(name);
    const at::Tensor w = weight();
    torch::Tensor want;
    const auto microbatches = [&] {
      at::manual_seed(3);
      w.mutable_grad().reset();
      for (int i = 0; i < 3; ++i) {
        run(random({20, 64}).requires_grad_(), w, recipe).square().sum().backward();
      }
      return w.grad().clone();
    };
    want = microbatches();
    const CachedWeights cached({w});
    const Calls calls;
    EXPECT_TRUE(at::equal(microbatches(), want));
    const int per_microbatch = 1 + 1;  // x and the gradient
    EXPECT_EQ(quantized(calls), 3 * per_microbatch + 1);
    {
      const at::NoGradGuard no_grad;
      w.sub_(w.grad(), 0.1);  // as an optimizer does
    }
    microbatches();
    EXPECT_EQ(quantized(calls), 2 * (3 * per_microbatch + 1));
  }
}

TEST_P(CachedWeightsOfLayers, AWeightThatChangedIsQuantizedAgain) {
  const std::map<std::string, std::function<void(at::Tensor&)>> changes = {
      {"optimizer",
       [](at::Tensor& w) {
         const at::NoGradGuard no_grad;
         w.mul_(3);
       }},
      {"detached alias",
       [](at::Tensor& w) {
         w.detach().copy_(at::randn({48, 64}));
       }},
      {"memory replaced",
       [this](at::Tensor& w) {
         w.set_data(random({48, 64}));
       }},
      {"dtype replaced",
       [this](at::Tensor& w) {
         w.set_data(random({48, 64}, at::kBFloat16).to(at::kFloat));
       }},
      {"frozen", [](at::Tensor& w) { w.requires_grad_(false); }},
      {"learning again", [](at::Tensor& w) { w.requires_grad_(true); }},
      {"written by address",
       [](at::Tensor& w) {
         w.variable_data().mul_(2);  // Python's w.data.mul_(2): not seen
         CachedWeights::invalidate();
       }},
  };
  for (const auto& [name, change] : changes) {
    SCOPED_TRACE(name);
    at::Tensor w = weight();
    w.requires_grad_(name != "learning again");
    const at::Tensor x = random({20, 64});
    const CachedWeights cached({w});
    run(x.clone(), w);
    change(w);
    const at::Tensor got = run(x.clone(), w);
    EXPECT_TRUE(at::equal(got, fresh(x, w)));
  }
}

TEST_P(CachedWeightsOfLayers, WritesThroughDataAreNotSeen) {  // what the header warns of
  const at::Tensor w = weight();
  const at::Tensor x = random({20, 64});
  const CachedWeights cached({w});
  run(x.clone(), w);
  w.variable_data().mul_(-1);
  const at::Tensor got = run(x.clone(), w);
  EXPECT_FALSE(at::equal(got, fresh(x, w)));
}

TEST_P(CachedWeightsOfLayers, AScopeThatEndsForgets) {
  const at::Tensor w = weight();
  const at::Tensor x = random({20, 64});
  {
    const CachedWeights outer({w});
    {
      const CachedWeights inner({w});
      run(x.clone(), w);
    }
    const Calls calls;
    run(x.clone(), w);
    EXPECT_EQ(quantized(calls), 1) << "the outer scope still holds it";
  }
  const Calls calls;
  run(x.clone(), w);
  EXPECT_EQ(quantized(calls), 2);
  const at::Tensor got = run(x.clone(), w);
  EXPECT_TRUE(at::equal(got, fresh(x, w)));
}

TEST_P(CachedWeightsOfLayers, RecomputingLayersAreNotCached) {
  LinearRecipe recipe = recipe_named("tensorwise");
  recipe.recompute_weight = true;
  const at::Tensor w = weight();
  const CachedWeights cached({w});
  const Calls calls;
  run(random({20, 64}), w, recipe);
  run(random({20, 64}), w, recipe);
  EXPECT_EQ(quantized(calls), 4);
}

TEST_P(CachedWeightsOfLayers, ACachedWeightMayDie) {
  at::Tensor w = weight();
  auto cached = std::make_unique<CachedWeights>(std::vector<at::Tensor>{w});
  run(random({20, 64}), w);
  w.reset();
  cached.reset();
  const at::Tensor next = weight();  // perhaps at the same address
  const CachedWeights again({next});
  const at::Tensor x = random({20, 64});
  const at::Tensor got = run(x, next);
  EXPECT_TRUE(at::equal(got, fresh(x, next)));
}

FLOAT8_ON_EVERY_BACKEND(CachedWeightsOfLayers);

TEST(CachedWeights, RefusesWeightsWhoseChangesCannotBeSeen) {
  const std::string meta = error_of([] { CachedWeights({at::empty({16, 16}, at::kMeta)}); });
  EXPECT_NE(meta.find("[cache_weights] changes of a weight must be seen, got one"), meta.npos)
      << meta;
  c10::InferenceMode inference;
  const at::Tensor w = at::ones({16, 16});
  EXPECT_NE(error_of([&] { CachedWeights({w}); }).find("[cache_weights]"), std::string::npos);
}

}  // namespace
}  // namespace float8::testing
