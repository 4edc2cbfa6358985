#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>

#include "float8/format.h"
#include "src/ops/cpu/loops/loops.h"

namespace float8::cpu {

/// The loops' element type for a dtype that a check has let through.
inline Element element_of(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return Element::kFloat32;
    case at::kBFloat16:
      return Element::kBFloat16;
    default:
      TORCH_INTERNAL_ASSERT(dtype == at::kHalf);
      return Element::kFloat16;
  }
}

/// Indices into the tables of Loops.
inline int index_of(Element element) { return static_cast<int>(element); }
inline int index_of(Format format) { return static_cast<int>(format); }

inline std::uint8_t* bytes_of(const at::Tensor& fp8) {
  return static_cast<std::uint8_t*>(fp8.data_ptr());
}
inline const std::uint8_t* const_bytes_of(const at::Tensor& fp8) {
  return static_cast<const std::uint8_t*>(fp8.const_data_ptr());
}

/// Whether FP8 data [rows, ld] is written past the caches (stream.h), which would not hold it
/// until it is read. Measured on a transposed copy that is read afterwards: at 4 MiB streaming
/// gains nothing, at 16 MiB a third of the time.
inline bool streams(const at::Tensor& fp8) {
  constexpr std::int64_t kStreamBytes = std::int64_t{8} << 20;
  return fp8.numel() >= kStreamBytes && fp8.size(1) % kCacheLine == 0 &&
         reinterpret_cast<std::uintptr_t>(fp8.const_data_ptr()) % kCacheLine == 0;
}

/// Asks for data that will be read soon.
inline void prefetch(const std::byte* data, std::int64_t bytes) {
  for (std::int64_t i = 0; i < bytes; i += kCacheLine) {
    __builtin_prefetch(data + i);
  }
}

/// A task that touches fewer elements than this is not worth a thread's start.
inline constexpr std::int64_t kGrainElements = 32LL * 1024;

/// How many items of `elements` each make one task.
inline std::int64_t grain(std::int64_t elements) {
  return std::max<std::int64_t>(1, kGrainElements / std::max<std::int64_t>(1, elements));
}

/// A scale of one value or of many, read by index.
struct ScaleView {
  const float* data;
  std::int64_t stride;  ///< 0: one value for all
  float operator[](std::int64_t i) const { return data[i * stride]; }
};

/// The scale of each row of a matrix ([1, 1] or [M, 1]).
inline ScaleView row_scale(const at::Tensor& scale) {
  return {scale.const_data_ptr<float>(), scale.size(0) == 1 ? 0 : 1};
}
/// The scale of each column of a matrix ([1, 1] or [1, K]).
inline ScaleView column_scale(const at::Tensor& scale) {
  return {scale.const_data_ptr<float>(), scale.size(1) == 1 ? 0 : 1};
}

/// The value of what an amax loop returned.
float amax_value(Element element, std::uint32_t bits);

/// amax of x [M, K], contiguous, for any of its blocks in one pass over it. Each result that is
/// asked for is a float32 tensor: tensor [1, 1], rows [M, 1], columns [1, K].
struct Amax {
  at::Tensor tensor;
  at::Tensor rows;
  at::Tensor columns;
};
Amax reduce_amax(const at::Tensor& x, bool tensor, bool rows, bool columns);

/// scale for each amax, in place of it (float32).
void amax_to_scale_(at::Tensor& amax, Format format, bool power_of_two);

/// Casts x [M, K], contiguous, to one or both layouts in one pass. Undefined outputs are skipped;
/// defined ones are [M, pad16(K)] and [K, pad16(M)], and are written whole, padding included.
/// scale: [1, 1], [M, 1] or [1, K], for each layout its own. from_amax: it was made from the amax
/// of the same values, so that none of them can leave the format's range; such casts are faster.
struct CastTarget {
  at::Tensor data;
  at::Tensor scale;
  bool from_amax = false;
};
void cast_layouts(const at::Tensor& x, const CastTarget& straight, const CastTarget& transposed);

/// amax, scale and cast of each row of x [M, K], contiguous, while the row is in the cache: x is
/// read from memory once. data: [M, pad16(K)], written whole. Returns the scales, [M, 1]. The same
/// pass gives the amax of the columns, [1, K] float32, where column_amax is not null.
at::Tensor quantize_rows(const at::Tensor& x, const at::Tensor& data, Format format,
                         bool power_of_two, at::Tensor* column_amax = nullptr);

}  // namespace float8::cpu
