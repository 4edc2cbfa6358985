#pragma once

#include <array>
#include <cstdint>

#include "float8/format.h"
#include "src/ops/cpu/loops/stream.h"

// The inner loops of the CPU backend: no torch, no allocation, no threads. loops.cpp is compiled
// once for each instruction set, and loops() picks one when the library is first used.
namespace float8::cpu {

/// High-precision element types, in the order of the tables below.
enum class Element : std::uint8_t { kFloat32, kBFloat16, kFloat16 };
inline constexpr int kElements = 3;
inline constexpr int kFormats = 2;

/// Operands of tensor_core. A value's power is the power of two of its exponent (a subnormal's is
/// that of the smallest normal number), and 0 for a zero.
struct TensorCoreRow {
  const float* values;  ///< [k], finite
  const float* powers;
};
struct TensorCorePanel {
  const float* values;  ///< [k][kTensorCoreColumns], finite
  const float* powers;
};
inline constexpr std::int64_t kTensorCoreColumns = 16;

/// Lanes of sums over values, for a fixed order of additions.
inline constexpr std::int64_t kErrorLanes = 16;
struct CastErrorSums {
  double squares[kErrorLanes];
  double squared_errors[kErrorLanes];
  std::int32_t saturated[kErrorLanes];
  std::int32_t underflowed[kErrorLanes];
};

struct Loops {
  const char* name;

  /// max|x| of n values, as the bits of the element type: an integer maximum orders NaN over
  /// infinity over finite values.
  std::uint32_t (*amax[kElements])(const void* x, std::int64_t n);

  /// amax[i] = max(amax[i], |x[r][i]|) over all rows of x [rows][n], as bits. Fastest with a
  /// multiple of kAmaxRows rows.
  void (*amax_columns[kElements])(const void* x, std::int64_t rows, std::int64_t n,
                                  std::uint32_t* amax);

  /// out[i] = encode(float(x[i]) * scale).
  using Cast = void (*)(const void* x, std::int64_t n, float scale, std::uint8_t* out);
  using CastTable = std::array<std::array<Cast, kFormats>, kElements>;
  CastTable cast;

  /// The same codes, about twice as fast, where every x[i] is finite, the scale is positive and no
  /// |x[i]| * scale exceeds the format's maximum by more than its rounding removes.
  CastTable cast_bounded;

  /// out[i] = encode(float(x[i]) * scale[i]).
  using CastColumns = void (*)(const void* x, std::int64_t n, const float* scale,
                               std::uint8_t* out);
  using CastColumnsTable = std::array<std::array<CastColumns, kFormats>, kElements>;
  CastColumnsTable cast_columns;
  CastColumnsTable cast_columns_bounded;

  /// Adds to sums what the cast of x[i] * scale[i] lost, decoded being the value of its code: the
  /// squares of x[i] and of decoded[i] * scale_inv[i] - x[i], how many |x[i] * scale[i]| exceed the
  /// limit, and how many values that are not zero became zero.
  using CastError = void (*)(const void* x, const float* decoded, std::int64_t n,
                             const float* scale, const float* scale_inv, float limit,
                             CastErrorSums* sums);
  CastError cast_error[kElements];

  /// out[c][r] = in[r][c] for bytes; ld_* are the distances of rows. stream: with
  /// stream_copy, out and ld_out being multiples of kCacheLine; the caller finishes.
  void (*transpose)(const std::uint8_t* in, std::int64_t ld_in, std::int64_t rows,
                    std::int64_t columns, std::uint8_t* out, std::int64_t ld_out, bool stream);

  /// The exact values of FP8 codes.
  void (*decode_float[kFormats])(const std::uint8_t* in, std::int64_t n, float* out);
  void (*decode_bfloat16[kFormats])(const std::uint8_t* in, std::int64_t n, std::uint16_t* out);

  /// Rows of FP8 codes as bfloat16 pairs along k, the layout of brgemm's second operand:
  /// out[k / 2][r][k % 2] = in[r][k]. k is even, rows at most kPanel.
  void (*decode_panel[kFormats])(const std::uint8_t* in, std::int64_t ld_in, std::int64_t rows,
                                 std::int64_t k, std::uint16_t* out);

  /// out[i] = round(acc[i] * (row_scale * column_scale[i * column_stride])), then + bias[i] in the
  /// precision of out where bias is not null.
  using Store = void (*)(const float* acc, std::int64_t n, float row_scale,
                         const float* column_scale, std::int64_t column_stride, const void* bias,
                         void* out);
  Store store[kElements];

  /// result[c] = the sum over k of a[i] * b[i][c], by the rules of CpuGemm::kTensorCore.
  void (*tensor_core)(const TensorCoreRow& a, const TensorCorePanel& b, std::int64_t k,
                      bool fast_accum, float* result);
};

/// Rows that amax_columns reads together.
inline constexpr std::int64_t kAmaxRows = 4;

/// Rows of one panel of decode_panel.
inline constexpr std::int64_t kPanel = 64;

/// The loops for the best instruction set of this processor that the library was built for.
const Loops& loops();

}  // namespace float8::cpu
