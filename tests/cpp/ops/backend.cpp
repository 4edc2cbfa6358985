#include "tests/cpp/ops/backend.h"

#include <ATen/Context.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace float8::testing {
namespace {

bool cuda_is_required() {
  const char* value = std::getenv("FLOAT8_REQUIRE_CUDA");
  return value != nullptr && std::string_view(value) == "1";
}

}  // namespace

const std::set<std::string>& leaf_operators() {
  static const std::set<std::string> names = {"amax",       "amax_to_scale", "cast",
                                              "dequantize", "quantize",      "quantize_pair",
                                              "scaled_mm",  "transpose"};
  return names;
}

const std::vector<Backend>& backends() {
  static const std::vector<Backend> all = {
      {"Cpu", at::kCPU, leaf_operators()},
      {"CpuFloat32Gemm", at::kCPU, leaf_operators(), /*onednn=*/false},
      // The others follow; until then tests/cpp/ops/coverage_test.cpp holds this list to the truth.
      {"Cuda", at::Device(at::kCUDA, 0), {"amax_to_scale"}},
  };
  return all;
}

void OnBackend::SetUp() {
  const Backend& backend = GetParam();
  if (backend.device.is_cuda() && !at::hasCUDA()) {
    if (cuda_is_required()) {
      FAIL() << "FLOAT8_REQUIRE_CUDA=1 promised a GPU, and torch sees none";
    }
    GTEST_SKIP() << "torch sees no GPU";
  }
  std::string missing;
  for (const std::string& name : needs_) {
    missing += backend.operators.count(name) > 0 ? "" : " " + name;
  }
  if (!missing.empty()) {
    GTEST_SKIP() << "the " << backend.name << " backend has no kernel yet for:" << missing;
  }
  at::globalContext().setUserEnabledMkldnn(backend.onednn);
  at::manual_seed(7);
}

void OnBackend::TearDown() { at::globalContext().setUserEnabledMkldnn(true); }

at::Tensor OnBackend::random(at::IntArrayRef sizes, at::ScalarType dtype) const {
  at::Tensor x = at::randn(sizes);
  if (x.dim() >= 2) {
    x = x * at::randn({x.size(-2), 1}).exp() * at::randn({1, x.size(-1)}).exp();
  }
  return put(x.to(dtype));
}

}  // namespace float8::testing
