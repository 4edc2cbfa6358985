#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "tests/cpp/ops/host_cuda.h"

// One conformance suite for every backend: a test is written once, against the contracts in ops.h,
// and runs for each entry of backends().
namespace float8::testing {

struct Backend {
  std::string name;
  at::Device device = at::kCPU;
  bool emulate = true;      ///< what the tests ask for; the host's FP8 product ignores it
  bool onednn = true;       ///< false: the CPU's product in float32 instead of bfloat16
  bool fuses_bias = false;  ///< a GEMM with scales for rows adds the bias before it rounds
  int host_cuda = 0;        ///< not 0: the CUDA backend on the host, of this compute capability
  HostProduct product = HostProduct::kFp8;
};

/// The name, in the place of bytes, in a failing test's message.
inline void PrintTo(const Backend& backend, std::ostream* stream) { *stream << backend.name; }

/// The operators that work on tensors; each backend has a kernel of its own for them.
const std::set<std::string>& leaf_operators();

/// CPU (with each of its two GEMMs), CUDA on the host (with each way that its GEMMs take) and CUDA.
const std::vector<Backend>& backends();

/// A test for each backend. It is skipped where there is no GPU, or fails if FLOAT8_REQUIRE_CUDA=1
/// promised one.
class OnBackend : public ::testing::TestWithParam<Backend> {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// The tensor on this backend's device.
  at::Tensor put(const at::Tensor& tensor) const { return tensor.to(GetParam().device); }

  /// Normal values whose magnitude differs from row to row and from column to column.
  at::Tensor random(at::IntArrayRef sizes, at::ScalarType dtype = at::kFloat) const;

 private:
  std::unique_ptr<HostCuda> host_cuda_;
};

/// The first line of what `call` throws; "" where it throws nothing.
template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    return text.substr(0, text.find('\n'));
  }
  return "";
}

}  // namespace float8::testing

/// Runs a suite for each backend.
#define FLOAT8_ON_EVERY_BACKEND(Suite)                                                       \
  INSTANTIATE_TEST_SUITE_P(Backend, Suite, ::testing::ValuesIn(float8::testing::backends()), \
                           [](const auto& info) { return info.param.name; })
