#pragma once

#include <ATen/core/Tensor.h>

#include "float8/format.h"

namespace float8::cpu {

/// One FP8 operand of a product: [rows, k] codes, contiguous.
struct Operand {
  const std::uint8_t* data;
  std::int64_t rows;
  std::int64_t k;
  Format format;
};

/// Receives columns [column, column + n) of row `row` of a b^T, in float32, from several threads.
struct RowSink {
  virtual void store(std::int64_t row, std::int64_t column, std::int64_t n, const float* acc) = 0;

 protected:
  ~RowSink() = default;
};

/// a [M, K] times b [N, K]^T in float32. FP8 values are exact in bfloat16, whose products are exact
/// in float32: where the processor multiplies bfloat16 (oneDNN's brgemm, through ATen) that is
/// several times as fast as float32, and where it does not, ATen's float32 product serves.
void gemm(const Operand& a, const Operand& b, RowSink& sink);

/// The same product with the sums of Hopper's tensor cores (CpuGemm::kTensorCore).
void gemm_tensor_core(const Operand& a, const Operand& b, bool fast_accum, RowSink& sink);

/// "bfloat16" or "float32": the arithmetic that gemm uses on this machine now.
const char* gemm_arithmetic();

}  // namespace float8::cpu
