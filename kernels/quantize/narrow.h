#pragma once

#include "kernels/quantize/element.h"

// From float32 back to an element type: once to nearest even, a NaN to a NaN.
namespace float8::kernels {

template <Element kElement>
__device__ inline std::uint32_t from_float(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if constexpr (kElement == Element::kFloat32) {
    return bits;
  } else if constexpr (kElement == Element::kFloat16) {
    return float_to_half(x);
  } else {
    const bool is_nan = (bits & 0x7FFFFFFFU) > 0x7F800000U;
    return is_nan ? 0x7FC0U : (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  }
}

/// Writes kCount consecutive elements: as 128-bit stores, which `out` is aligned to, or one by one.
template <Element kElement, bool kVectors, int kCount>
__device__ inline void store_elements(void* out, std::int64_t index,
                                      const std::uint32_t (&elements)[kCount]) {
  constexpr int kSize = size_of(kElement);
  auto* address = static_cast<Bits<kSize>*>(out) + index;
  if constexpr (kVectors) {
    constexpr int kPer = kPerVector<kSize>;
    for (int v = 0; v < kCount / kPer; ++v) {
      Bytes16 vector = {};
      for (int i = 0; i < kPer; ++i) {
        vector.words[i * kSize / 4] |= elements[v * kPer + i] << (8 * (i * kSize % 4));
      }
      store(address + v * kPer, vector);
    }
  } else {
    for (int i = 0; i < kCount; ++i) {
      address[i] = static_cast<Bits<kSize>>(elements[i]);
    }
  }
}

/// Row and column of the i-th group of `group` elements, `per_row` groups to a row.
struct Place {
  std::int64_t row;
  std::int64_t column;
};
__device__ inline Place place_of(std::int64_t i, std::int64_t per_row, int group) {
  // A 64-bit division is a function call of a hundred instructions.
  const bool narrow = ((i | per_row) >> 32) == 0;
  const std::int64_t row =
      narrow ? static_cast<std::uint32_t>(i) / static_cast<std::uint32_t>(per_row) : i / per_row;
  return {row, (i - row * per_row) * group};
}

}  // namespace float8::kernels
