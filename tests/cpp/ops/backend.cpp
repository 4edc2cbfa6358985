#include "tests/cpp/ops/backend.h"

#include <ATen/Context.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "tests/cpp/ops/reference.h"

namespace float8::testing {
namespace {

bool cuda_is_required() {
  const char* value = std::getenv("FLOAT8_REQUIRE_CUDA");
  return value != nullptr && std::string_view(value) == "1";
}

}  // namespace

const std::set<std::string>& leaf_operators() {
  static const std::set<std::string> names = {
      "amax",     "amax_to_scale", "cast",      "cast_error",     "dequantize",
      "quantize", "quantize_pair", "scaled_mm", "scaled_mm_add_", "transpose"};
  return names;
}

const std::vector<Backend>& backends() {
  static const std::vector<Backend> all = {
      {.name = "Cpu"},
      {.name = "CpuFloat32Gemm", .onednn = false},
      {.name = "HostCuda90", .fuses_bias = true, .host_cuda = 90},
      {.name = "HostCuda89", .host_cuda = 89},
      {.name = "HostCudaEmulated", .host_cuda = 80, .product = HostProduct::kFloat32},
      {.name = "CudaEmulated", .device = at::Device(at::kCUDA, 0)},
      {.name = "Cuda", .device = at::Device(at::kCUDA, 0), .emulate = false, .fuses_bias = true},
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
  if (backend.host_cuda != 0) {
    if (!has_host_cuda()) {
      GTEST_SKIP() << "built without CUDA's headers";
    }
    host_cuda_ = std::make_unique<HostCuda>(backend.host_cuda, backend.product);
  }
  constexpr double kHopperRoundoff = 0x1p-12;  // not yet seen on a GPU
  tensor_core_roundoff = backend.emulate ? 0 : kHopperRoundoff;
  at::globalContext().setUserEnabledMkldnn(backend.onednn);
  at::manual_seed(7);
}

void OnBackend::TearDown() {
  host_cuda_.reset();
  at::globalContext().setUserEnabledMkldnn(true);
}

at::Tensor OnBackend::random(at::IntArrayRef sizes, at::ScalarType dtype) const {
  at::Tensor x = at::randn(sizes);
  if (x.dim() >= 2) {
    x = x * at::randn({x.size(-2), 1}).exp() * at::randn({1, x.size(-1)}).exp();
  }
  return put(x.to(dtype));
}

}  // namespace float8::testing
