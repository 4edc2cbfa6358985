#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>

namespace float8::kernels {

enum class DataType : std::uint8_t { kE4M3, kE5M2, kBFloat16, kFloat16, kFloat32 };
const char* name_of(DataType type);  ///< "e4m3", "bfloat16"

/// How a GEMM takes its operands' scale_inv (both operands the same way).
enum class ScaleMode : std::uint8_t {
  kTensor,  ///< one for each operand
  kOuter,   ///< one for each row of A and each row of B; compute capability 9.0 only
};

/// D[m, n] = A[m, k] B[n, k]^T, row-major and contiguous: everything that a choice of algorithm
/// depends on, and so the key of the plan cache.
struct GemmProblem {
  std::int64_t m;
  std::int64_t n;
  std::int64_t k;
  DataType a;
  DataType b;
  DataType d;
  ScaleMode scales = ScaleMode::kTensor;
  bool bias = false;        ///< [n], of D's type (bfloat16 for a float32 D), added in the epilogue
  bool accumulate = false;  ///< D += instead of D =
  bool fast_accumulation = false;
  /// log2 of the alignment of each pointer in bytes, at most 8 (256 bytes).
  std::uint8_t alignment_a = 8;
  std::uint8_t alignment_b = 8;
  std::uint8_t alignment_d = 8;
  std::uint8_t alignment_bias = 8;
  std::uint8_t unused[5] = {};  ///< in place of padding: problems are compared as bytes
  std::size_t workspace_bytes = std::size_t{32} << 20;  ///< that an algorithm may use
  int device = 0;
  int compute_capability = 90;  ///< 10 * major + minor

  auto operator<=>(const GemmProblem&) const = default;
};

/// The rule of cuBLASLt's documentation that a problem breaks on its device; the first, in this
/// order.
enum class GemmRule : std::uint8_t {
  kNone,       ///< none: it runs
  kDevice,     ///< FP8 tensor cores: compute capability 8.9 or higher
  kScales,     ///< ScaleMode::kOuter: compute capability 9.0
  kTypes,      ///< A and B in FP8 and not both E5M2; D in 16 or 32 bits
  kSizes,      ///< m, n and k from 1 to 2^31 - 1
  kInner,      ///< k a multiple of 16
  kColumns,    ///< rows of D a multiple of 16 bytes: n a multiple of 8, or of 4 in float32
  kAlignment,  ///< A, B and D 16-byte aligned; bias aligned to its elements
};
GemmRule broken_rule(const GemmProblem& problem);

/// Why cuBLASLt does not run this problem on this device: what is required, what came, what to do
/// (a rule of its documentation); empty where broken_rule() is kNone.
std::string unsupported(const GemmProblem& problem);

/// "A=[32, 64] e4m3, B=[16, 64] e4m3, D=bfloat16, one scale each, bias, device 0 (9.0)"
std::string describe(const GemmProblem& problem);

/// log2 of a pointer's alignment, at most 8.
std::uint8_t alignment_of(const void* pointer);

}  // namespace float8::kernels
