#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/gemm/planner.h"

namespace float8::kernels::testing {

/// Memory that starts `offset` bytes after a multiple of 4096.
class Buffer {
 public:
  explicit Buffer(std::size_t bytes, std::size_t offset = 0);
  std::uint8_t* data() { return data_; }
  const std::uint8_t* data() const { return data_; }

 private:
  std::vector<std::uint8_t> storage_;
  std::uint8_t* data_;
};

/// A problem with random operands, scales (each another) and bias, and with what D held before.
class GemmData {
 public:
  /// Pointers have the problem's alignments and no more.
  explicit GemmData(const GemmProblem& problem, std::uint64_t seed = 1);

  GemmArguments arguments();

  /// The largest |D - expected|, in units of what rounding to D's type once (and its sums to
  /// float32) may change.
  double worst_error() const;

  /// D as it was before.
  void reset_d();
  bool d_is_unchanged() const;

  const GemmProblem problem;

 private:
  double expected(std::int64_t row, std::int64_t column, double* magnitude) const;

  Buffer a_;
  Buffer b_;
  Buffer d_;
  Buffer bias_;
  std::vector<std::uint8_t> d_before_;
  std::vector<float> scale_inv_a_;
  std::vector<float> scale_inv_b_;
};

/// Bytes of workspace in the problems of these tests: enough for the double's first algorithms.
inline constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;

/// A small problem that cuBLASLt runs.
GemmProblem small_problem();

/// The doubles as they are at first.
void reset_doubles();

}  // namespace float8::kernels::testing
