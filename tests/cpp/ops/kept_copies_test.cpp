// Copies that one call makes and another reads: shared inputs and cached weights. What is counted
// is how often a tensor is quantized; what is compared are the bits of a call that shares nothing.

#include <c10/core/InferenceMode.h>
#include <torch/types.h>

#include <functional>
#include <thread>

#include "float8/cached_weights.h"
#include "tests/cpp/ops/calls.h"
#include "tests/cpp/ops/linear_fixture.h"

namespace float8::testing {
namespace {

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

  /// What run gives for tensors that no call has seen.
  static at::Tensor fresh(const at::Tensor& x, const at::Tensor& w) {
    return run(x.detach().clone(), w.detach().clone());
  }
};

TEST_P(KeptCopies, LayersWithOneInputQuantizeItOnce) {
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

TEST_P(KeptCopies, AnInputThatChangedIsQuantizedAgain) {
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
    EXPECT_TRUE(at::equal(run(x, second), fresh(x, second)));
  }
}

TEST_P(KeptCopies, AnInputWithOtherMemoryAtTheSameAddressIsQuantizedAgain) {
  const at::Tensor memory = random({20, 64});
  const auto view = [&] { return at::from_blob(memory.data_ptr(), {20, 64}, memory.options()); };
  at::Tensor x = view();
  const at::Tensor other = weight();
  run(x, weight());
  memory.mul_(3);
  x.set_data(view());
  EXPECT_TRUE(at::equal(run(x, other), fresh(x, other)));
}

TEST_P(KeptCopies, AnInputWithOtherStridesIsQuantizedAgain) {
  at::Tensor x = random({64, 64});
  const at::Tensor other = weight();
  run(x, weight());
  x.set_data(x.t());  // raises no version
  EXPECT_TRUE(at::equal(run(x, other), fresh(x, other)));
}

TEST_P(KeptCopies, AliasesWithVersionsOfTheirOwnAreNotTakenForOneAnother) {
  const at::Tensor x = random({20, 64});
  const at::Tensor other = weight();
  run(x.variable_data(), weight());  // Python's x.data
  x.variable_data().mul_(3);
  EXPECT_TRUE(at::equal(run(x.variable_data(), other), fresh(x, other)));
}

TEST_P(KeptCopies, OneLayerCalledAgainQuantizesAgain) {
  const at::Tensor x = random({20, 64});
  const at::Tensor w = weight();
  const Calls calls;
  run(x, w);
  run(x, w);
  EXPECT_EQ(quantized(calls), 4);
}

TEST_P(KeptCopies, AnotherCastOfTheInputIsMade) {
  const at::Tensor x = random({20, 64});
  const at::Tensor w = weight();
  for (const std::string& name : recipe_names()) {
    const at::Tensor other = weight();
    run(x, w);
    EXPECT_TRUE(at::equal(run(x, other, recipe_named(name)),
                          run(x.clone(), other.detach().clone(), recipe_named(name))))
        << name;
  }
  LinearRecipe powers = recipe_named("tensorwise");
  powers.power_of_two = true;
  const at::Tensor other = weight();
  run(x, w);
  EXPECT_TRUE(at::equal(run(x, other, powers), run(x.clone(), other.detach().clone(), powers)));
}

TEST_P(KeptCopies, AFrozenLayerLeavesTheTransposedCopyToTheNext) {
  const at::Tensor x = random({20, 64});
  const at::Tensor frozen = weight().detach();
  const Calls calls;
  run(x, frozen);
  EXPECT_EQ(calls["float8::quantize"], 2);
  run(x, weight());
  EXPECT_EQ(calls["float8::quantize"], 3 + 1) << "the transposed x alone, and the weight";
  EXPECT_EQ(calls["float8::quantize_pair"], 0);
}

TEST_P(KeptCopies, NothingIsKeptOfInferenceMode) {
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

TEST_P(KeptCopies, TheBackwardPassFreesTheInputsCopies) {
  const at::Tensor x = random({20, 64});
  const at::Tensor w = weight();
  const at::Tensor y = run(x, w);
  y.sum().backward();
  const Calls calls;
  run(x, weight());
  EXPECT_EQ(quantized(calls), 2);
}

TEST_P(KeptCopies, CachedWeightsAreQuantizedOncePerStep) {
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

TEST_P(KeptCopies, AWeightThatChangedIsQuantizedAgain) {
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
    EXPECT_TRUE(at::equal(run(x.clone(), w), fresh(x, w)));
  }
}

TEST_P(KeptCopies, WritesThroughDataAreNotSeen) {  // what the header warns of
  const at::Tensor w = weight();
  const at::Tensor x = random({20, 64});
  const CachedWeights cached({w});
  run(x.clone(), w);
  w.variable_data().mul_(-1);
  EXPECT_FALSE(at::equal(run(x.clone(), w), fresh(x, w)));
}

TEST_P(KeptCopies, AScopeThatEndsForgets) {
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
  EXPECT_TRUE(at::equal(run(x.clone(), w), fresh(x, w)));
}

TEST_P(KeptCopies, RecomputingLayersAreNotCached) {
  LinearRecipe recipe = recipe_named("tensorwise");
  recipe.recompute_weight = true;
  const at::Tensor w = weight();
  const CachedWeights cached({w});
  const Calls calls;
  run(random({20, 64}), w, recipe);
  run(random({20, 64}), w, recipe);
  EXPECT_EQ(quantized(calls), 4);
}

TEST_P(KeptCopies, ACachedWeightMayDie) {
  at::Tensor w = weight();
  auto cached = std::make_unique<CachedWeights>(std::vector<at::Tensor>{w});
  run(random({20, 64}), w);
  w.reset();
  cached.reset();
  const at::Tensor next = weight();  // perhaps at the same address
  const CachedWeights again({next});
  const at::Tensor x = random({20, 64});
  EXPECT_TRUE(at::equal(run(x, next), fresh(x, next)));
}

TEST_P(KeptCopies, ThreadsShareACachedWeight) {
  constexpr int kThreads = 4;
  const at::Tensor w = weight();
  const CachedWeights cached({w});
  std::vector<at::Tensor> inputs;
  std::vector<at::Tensor> want;
  std::vector<int> wrong(kThreads, 0);
  for (int i = 0; i < kThreads; ++i) {
    inputs.push_back(random({20 + i, 64}));
    want.push_back(fresh(inputs[i], w));
  }
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 20; ++round) {
        if (i == 0) {
          CachedWeights::invalidate();
        }
        wrong[i] += at::equal(run(inputs[i], w), want[i]) ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong, std::vector<int>(kThreads, 0));
}

FLOAT8_ON_EVERY_BACKEND(KeptCopies);

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
