// What the conformance suite does not ask of the CUDA backend: what a call costs, and what bad
// input gets. Runs on the host.

#include <c10/core/Allocator.h>
#include <c10/core/GradMode.h>

#include "float8/ops.h"
#include "tests/cpp/ops/linear_fixture.h"
#include "tests/host_cuda/engine.h"

namespace float8::testing {
namespace {

constexpr at::ScalarType kE4M3 = at::kFloat8_e4m3fn;

// Counts the allocations of this thread while it lives.
class AllocationCounter {
 public:
  AllocationCounter()
      : counts_(std::make_shared<Counts>()), guard_(c10::DebugInfoKind::PROFILER_STATE, counts_) {}
  [[nodiscard]] int count() const { return counts_->allocations; }

 private:
  struct Counts : c10::MemoryReportingInfoBase {
    void reportMemoryUsage(void* /*ptr*/, std::int64_t size, std::size_t /*allocated*/,
                           std::size_t /*reserved*/, c10::Device /*device*/) override {
      allocations += size > 0 ? 1 : 0;
    }
    [[nodiscard]] bool memoryProfilingEnabled() const override { return true; }
    int allocations = 0;
  };
  std::shared_ptr<Counts> counts_;
  c10::DebugInfoGuard guard_;
};

class HostCudaBackend : public ::testing::Test {
 protected:
  void SetUp() override { device_ = std::make_unique<HostCuda>(90, HostProduct::kFp8); }
  void TearDown() override { host_cuda::settings().next_status = cudaSuccess; }

  // How many launches a call makes.
  template <class Call>
  static std::int64_t launches(Call call) {
    const std::int64_t before = host_cuda::settings().launches;
    call();
    return host_cuda::settings().launches - before;
  }

  std::unique_ptr<HostCuda> device_;
  at::Tensor x_ = at::randn({48, 64}, at::kBFloat16);
  at::Tensor w_ = at::randn({32, 64}, at::kBFloat16);
};

TEST_F(HostCudaBackend, AForwardPassAllocatesItsOutputTheCopiesAndTheirScales) {
  const at::Tensor x = x_.clone().requires_grad_();
  const at::Tensor w = w_.clone().requires_grad_();
  for (const char* name : {"tensorwise", "rowwise"}) {
    const LinearRecipe recipe = recipe_named(name);
    {
      const c10::NoGradGuard no_grad;
      linear(x, w, std::nullopt, recipe);  // makes the plan
      const AllocationCounter counter;
      linear(x, w, std::nullopt, recipe);
      EXPECT_EQ(counter.count(), 5) << name << ": two copies, their scales, the output";
    }
    const AllocationCounter counter;
    linear(x, w, std::nullopt, recipe);
    const int weight_copies = recipe.recompute_weight ? 1 : 2;
    EXPECT_EQ(counter.count(), 2 * 2 + 2 * weight_copies + 1) << name;
  }
}

TEST_F(HostCudaBackend, ATensorIsQuantizedInTwoLaunchesAtMost) {
  EXPECT_EQ(launches([&] { quantize(x_, kE4M3, kTensorBlock); }), 2);
  EXPECT_EQ(launches([&] { quantize(x_, kE4M3, kRowBlock); }), 1);
  EXPECT_EQ(launches([&] { quantize(x_, kE4M3, kRowBlock, false, /*transpose=*/true); }), 2);
  for (const Block& block : {kTensorBlock, kRowBlock}) {
    for (const Block& block_t : {kTensorBlock, kRowBlock}) {
      EXPECT_EQ(launches([&] { quantize_pair(x_, kE4M3, block, block_t); }), 2);
    }
  }
}

TEST_F(HostCudaBackend, AKnownAmaxSavesTheLaunchThatReadsForIt) {
  const at::Tensor known = float8::amax(x_);
  const auto quantized = [&](bool transpose) {
    quantize(x_, kE4M3, kTensorBlock, false, transpose, std::nullopt, known);
  };
  EXPECT_EQ(launches([&] { quantized(false); }), 1);
  EXPECT_EQ(launches([&] { quantized(true); }), 1);
  EXPECT_EQ(launches([&] { quantize_pair(x_, kE4M3, kTensorBlock, kTensorBlock, false, known); }),
            1);
}

TEST_F(HostCudaBackend, OlderDevicesAreAnErrorThatNamesTheWayOut) {
  device_ = nullptr;
  device_ = std::make_unique<HostCuda>(80, HostProduct::kFp8);
  const std::string error =
      error_of([&] { linear(x_, w_, std::nullopt, recipe_named("tensorwise")); });
  EXPECT_EQ(error.find("[scaled_mm] FP8 needs a GPU of compute capability 8.9 or later, got 8.0"),
            0)
      << error;
  EXPECT_NE(error.find("emulate"), std::string::npos) << error;
}

TEST_F(HostCudaBackend, OperandsAtAnyAddressGiveTheSameProduct) {
  const auto [a, scale_a] = quantize(x_, kE4M3);
  const auto [b, scale_b] = quantize(w_, kE4M3);
  // A copy that starts one byte after a 16-byte boundary, and is contiguous.
  const auto shifted = [](const at::Tensor& data) {
    const at::Tensor storage = at::empty({data.numel() + 1}, data.options());
    at::Tensor view = storage.narrow(0, 1, data.numel()).view(data.sizes());
    view.copy_(data);
    return view;
  };
  const at::Tensor bias = at::randn({32}, at::kBFloat16);
  const auto product = [&](const at::Tensor& left, const at::Tensor& right, const at::Tensor& add) {
    return scaled_mm(left, right, scale_a, scale_b, add, at::kBFloat16);
  };
  const at::Tensor want = product(a, b, bias);
  EXPECT_TRUE(at::equal(product(shifted(a), shifted(b), shifted(bias)), want));
  EXPECT_TRUE(at::equal(product(a.t().contiguous().t(), b.t().contiguous().t(), bias), want));
}

TEST_F(HostCudaBackend, AnyNumberOfOutputFeatures) {
  const auto [a, scale_a] = quantize(x_, kE4M3, kRowBlock);
  const auto [b, scale_b] = quantize(w_, kE4M3, kRowBlock);
  const at::Tensor bias = at::randn({32}, at::kBFloat16);
  const at::Tensor want = scaled_mm(a, b, scale_a, scale_b, bias, at::kBFloat16);
  for (const std::int64_t n : {1, 7, 8, 15, 16, 17, 31}) {
    const at::Tensor got = scaled_mm(a, b.narrow(0, 0, n), scale_a, scale_b.narrow(0, 0, n),
                                     bias.narrow(0, 0, n), at::kBFloat16);
    EXPECT_TRUE(got.is_contiguous());
    EXPECT_TRUE(at::equal(got, want.narrow(1, 0, n))) << n;
  }
}

TEST_F(HostCudaBackend, ALaunchThatFailsIsAnErrorOfTheOperator) {
  const auto fails = [](const auto& call) {
    host_cuda::settings().next_status = cudaErrorInvalidConfiguration;
    return error_of(call);
  };
  EXPECT_EQ(fails([&] { quantize(x_, kE4M3); }).find("[quantize] the kernel was not launched"), 0);
  EXPECT_EQ(fails([&] { float8::amax(x_); }).find("[amax] the kernel was not launched"), 0);
}

}  // namespace
}  // namespace float8::testing
