// What threads share: a layer, an input, a cached weight. ThreadSanitizer watches these tests
// (`make test-tsan`), so each lets threads meet in one of the library's own places; what they
// compute is compared all the same.

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "float8/cached_weights.h"
#include "tests/cpp/ops/kept_copies_fixture.h"

namespace float8::testing {
namespace {

constexpr int kThreads = 4;
constexpr int kRounds = 20;

class SharedByThreads : public KeptCopies {
 protected:
  /// Runs `work(thread, round)` in threads that start together.
  static void in_threads(const std::function<void(int, int)>& work) {
    std::atomic<int> waiting = kThreads;
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        --waiting;
        while (waiting > 0) {
          std::this_thread::yield();
        }
        for (int round = 0; round < kRounds; ++round) {
          work(i, round);
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  }
};

TEST_P(SharedByThreads, ALayer) {
  const LinearRecipe recipe = recipe_named("tensorwise");
  const at::Tensor w = weight();
  std::vector<LinearOperands> all;
  std::vector<at::Tensor> want;
  std::vector<int> wrong(kThreads, 0);
  const auto gradients = [&](const LinearOperands& t) {
    const at::Tensor output = linear(t.input, w, std::nullopt, recipe);
    const auto grads = torch::autograd::grad({output}, {t.input, w}, {t.grad_output});
    return at::cat({output.detach().flatten(), grads[0].flatten(), grads[1].flatten()});
  };
  for (int i = 0; i < kThreads; ++i) {
    all.push_back(operands({40 + i}, 64, 48, at::kFloat, /*with_bias=*/false));
    want.push_back(gradients(all.back()));
  }
  in_threads([&](int i, int) { wrong[i] += at::equal(gradients(all[i]), want[i]) ? 0 : 1; });
  EXPECT_EQ(wrong, std::vector<int>(kThreads, 0));
}

TEST_P(SharedByThreads, AnInput) {
  const at::Tensor x = random({33, 64});
  std::vector<at::Tensor> weights;
  std::vector<at::Tensor> want;
  std::vector<int> wrong(kThreads, 0);
  for (int i = 0; i < kThreads; ++i) {
    weights.push_back(weight(32 + 16 * i));
    want.push_back(fresh(x, weights.back()));
  }
  in_threads([&](int i, int) { wrong[i] += at::equal(run(x, weights[i]), want[i]) ? 0 : 1; });
  EXPECT_EQ(wrong, std::vector<int>(kThreads, 0));
}

TEST_P(SharedByThreads, ACachedWeight) {
  const at::Tensor w = weight();
  const CachedWeights cached({w});
  std::vector<at::Tensor> inputs;
  std::vector<at::Tensor> want;
  std::vector<int> wrong(kThreads, 0);
  for (int i = 0; i < kThreads; ++i) {
    inputs.push_back(random({20 + i, 64}));
    want.push_back(fresh(inputs[i], w));
  }
  in_threads([&](int i, int) {
    if (i == 0) {
      CachedWeights::invalidate();
    }
    wrong[i] += at::equal(run(inputs[i], w), want[i]) ? 0 : 1;
  });
  EXPECT_EQ(wrong, std::vector<int>(kThreads, 0));
}

TEST_P(SharedByThreads, ScopesOfCachedWeights) {
  std::vector<at::Tensor> weights;
  std::vector<at::Tensor> want;
  std::vector<int> wrong(kThreads, 0);
  const at::Tensor x = random({20, 64});
  for (int i = 0; i < kThreads; ++i) {
    weights.push_back(weight());
    want.push_back(fresh(x, weights[i]));
  }
  in_threads([&](int i, int round) {
    const CachedWeights cached({weights[i], weights[(i + round) % kThreads]});
    wrong[i] += at::equal(run(x.clone(), weights[i]), want[i]) ? 0 : 1;
  });
  EXPECT_EQ(wrong, std::vector<int>(kThreads, 0));
}

FLOAT8_ON_EVERY_BACKEND(SharedByThreads);

}  // namespace
}  // namespace float8::testing
