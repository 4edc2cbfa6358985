#pragma once

#include <cstdint>

namespace float8::kernels {

/// High-precision element types.
enum class Element : std::uint8_t { kFloat32, kBFloat16, kFloat16 };

/// Bytes of one element.
constexpr std::int64_t size_of(Element element) { return element == Element::kFloat32 ? 4 : 2; }

/// The values that share one scale, in the layout of x: all, a row's, or a column's.
enum class Granularity : std::uint8_t { kTensor, kRow, kColumn };

/// A contiguous, row-major matrix in device memory. Any size, 0 included; any alignment that its
/// elements allow (16-byte aligned rows are faster).
struct Matrix {
  const void* data;
  Element element;
  std::int64_t rows;
  std::int64_t columns;
};

/// The values that share scales of this granularity: how many scales there are.
constexpr std::int64_t scales_of(const Matrix& x, Granularity granularity) {
  return granularity == Granularity::kTensor ? 1
         : granularity == Granularity::kRow  ? x.rows
                                             : x.columns;
}

/// FP8 rows are padded with zeros to a multiple of 16 bytes.
constexpr std::int64_t padded(std::int64_t n) { return (n + 15) / 16 * 16; }

}  // namespace float8::kernels
