#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/ArrayRef.h>

#include <optional>
#include <string>

#include "float8/format.h"
#include "float8/ops.h"

// What every backend's entries check, and the shapes that they agree on. The messages follow one
// form: `[op] what is required, got what; what to do`.
namespace float8::ops {

/// The last dimension of FP8 data is a multiple of this many values (16 bytes), as the tensor cores
/// and cuBLASLt require of the contraction dimension.
inline constexpr std::int64_t kInnerAlignment = 16;

inline c10::SymInt padded(const c10::SymInt& n) {
  return (n + (kInnerAlignment - 1)) / kInnerAlignment * kInnerAlignment;
}
inline std::int64_t padded(std::int64_t n) {
  return (n + (kInnerAlignment - 1)) / kInnerAlignment * kInnerAlignment;
}

/// Sizes that are equal; symbolic ones count as equal where that cannot be known, and are guarded.
bool same_size(const c10::SymInt& a, const c10::SymInt& b);

/// float32, bfloat16 or float16.
bool is_high_precision(at::ScalarType dtype);

/// The numbers that cast_error returns.
inline constexpr std::int64_t kCastErrors = 4;

/// "[2, 3] float32 on cpu"; symbolic sizes print as expressions.
std::string describe(const at::Tensor& tensor);

/// The format of a torch dtype; an error for any other dtype than the two FP8 ones.
Format check_format(const char* op, at::ScalarType dtype);

/// amax is float32, bfloat16 or float16; returns the format that dtype names.
Format check_amax(const char* op, const at::Tensor& amax, at::ScalarType dtype);

/// x is [M, K] of float32, bfloat16 or float16.
void check_high_precision(const char* op, const at::Tensor& x);

/// data is [M, K] of an FP8 dtype.
void check_fp8(const char* op, const char* name, const at::Tensor& data);

/// A result's dtype is float32, bfloat16 or float16.
void check_result_dtype(const char* op, at::ScalarType dtype);

/// A block is one of `allowed`; returned as a value.
Block check_block(const char* op, at::IntArrayRef block, at::ArrayRef<Block> allowed);

/// The blocks that a GEMM's operand may have, and those of amax.
inline constexpr Block kOperandBlocks[] = {kTensorBlock, kRowBlock};
inline constexpr Block kAmaxBlocks[] = {kTensorBlock, kRowBlock, kColumnBlock};

/// An amax that is given in place of a reduction: [1, 1] of x's dtype, on its device, where every
/// block is the whole tensor.
void check_known_amax(const char* op, const std::optional<at::Tensor>& amax, const at::Tensor& x,
                      at::ArrayRef<Block> blocks);

/// scale is float32 on x's device and broadcasts over x [M, K]: [1, 1], [M, 1] or [1, K].
void check_scale(const char* op, const at::Tensor& scale, const at::Tensor& x);

/// Everything that scaled_mm requires of its operands, scales and bias.
void check_scaled_mm(const at::Tensor& a, const at::Tensor& b, const at::Tensor& scale_inv_a,
                     const at::Tensor& scale_inv_b, const std::optional<at::Tensor>& bias,
                     at::ScalarType out_dtype);

/// The same for scaled_mm_add_, whose result is added to accumulator [M, N] float32.
void check_scaled_mm_add(const at::Tensor& accumulator, const at::Tensor& a, const at::Tensor& b,
                         const at::Tensor& scale_inv_a, const at::Tensor& scale_inv_b);

}  // namespace float8::ops
