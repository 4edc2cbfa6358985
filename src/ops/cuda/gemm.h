#pragma once

#include "src/ops/cuda/tensors.h"

namespace float8::cuda {

/// What the checked arguments of a product are to a GEMM: contiguous operands [M, K] and [N, K],
/// each with one scale, or each with one for every row.
struct Operands {
  Operands(const at::Tensor& a, const at::Tensor& b, const at::Tensor& scale_a,
           const at::Tensor& scale_b);
  at::Tensor a;
  at::Tensor b;
  at::Tensor scale_a;
  at::Tensor scale_b;
  bool outer;  ///< scales for rows
};

/// scale [1, 1] or [rows, 1] as [rows, 1], contiguous.
at::Tensor as_rows(const at::Tensor& scale, std::int64_t rows);

/// Whether the device's GEMMs take these operands as they are: N is a multiple of 16, and scales
/// for rows are Hopper's.
bool runs_directly(const Device& device, const Operands& operands);

/// out = A B^T on FP8 tensor cores, or out += A B^T, for operands that run directly. out: [M, N],
/// contiguous; bias: [N], of out's dtype (16 bits), or undefined. False, and out as it was, where
/// this cuBLASLt has no such GEMM with scales for rows all the same.
bool multiply_into(const Device& device, const at::Tensor& out, bool accumulate,
                   const Operands& operands, const at::Tensor& bias, bool fast_accumulation);

/// A B^T + bias on FP8 tensor cores, for any operands, by more passes where they don't run
/// directly.
at::Tensor multiply(const Device& device, const Operands& operands, const at::Tensor& bias,
                    at::ScalarType dtype, bool fast_accumulation);

/// A B^T + bias in float32, for devices without FP8 tensor cores.
at::Tensor multiply_float32(const Device& device, const Operands& operands, const at::Tensor& bias,
                            at::ScalarType dtype);

}  // namespace float8::cuda
