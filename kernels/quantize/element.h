#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "float8/scaling.h"
#include "kernels/device.h"
#include "kernels/quantize/matrix.h"

// Elements of high precision in device code: 128-bit vectors of them, as magnitudes and as floats.
namespace float8::kernels {

/// Elements of kSize bytes (2 or 4) in one 128-bit vector.
template <int kSize>
inline constexpr int kPerVector = 16 / kSize;

template <int kSize>
using Bits = std::conditional_t<kSize == 2, std::uint16_t, std::uint32_t>;

/// The vector of the first `count` elements from element `index` of x on, and zeros. kAligned: its
/// address is a multiple of 16, and it is there whole or not at all. kOnce: no one reads it again.
template <int kSize, bool kAligned, bool kOnce, class Index>
__device__ inline Bytes16 load_vector(const void* x, Index index, Index count) {
  Bytes16 vector = {};
  if constexpr (kAligned) {
    if (count > 0) {
      const auto* address = static_cast<const std::uint8_t*>(x) + index * kSize;
      vector = kOnce ? load_once(address) : load(address);
    }
  } else {
    const auto* elements = static_cast<const Bits<kSize>*>(x) + index;
#pragma unroll
    for (int i = 0; i < kPerVector<kSize>; ++i) {
      if (i < count) {
        const std::uint32_t bits = elements[i];
        vector.words[i * kSize / 4] |= bits << (8 * (i * kSize % 4));
      }
    }
  }
  return vector;
}

/// Writes the elements of `vector` that lie below `limit` to out, from element `index` on.
template <int kSize>
__device__ inline void store_vector(void* out, std::int64_t index, std::int64_t limit,
                                    const Bytes16& vector) {
  auto* elements = static_cast<Bits<kSize>*>(out) + index;
  if (index + kPerVector<kSize> <= limit && reinterpret_cast<std::uintptr_t>(elements) % 16 == 0) {
    store(elements, vector);
    return;
  }
#pragma unroll
  for (int i = 0; i < kPerVector<kSize>; ++i) {
    if (index + i < limit) {
      elements[i] = static_cast<Bits<kSize>>(vector.words[i * kSize / 4] >> (8 * (i * kSize % 4)));
    }
  }
}

/// 16 consecutive elements: as many as one 128-bit store holds codes.
template <int kSize>
struct Unit {
  Bytes16 vectors[kSize];
};

/// Elements [index, index + count) of x, `count` at most 16, and zeros behind them.
template <int kSize, bool kAligned, class Index>
__device__ inline Unit<kSize> load_unit(const void* x, Index index, Index count) {
  Unit<kSize> unit;
#pragma unroll
  for (int i = 0; i < kSize; ++i) {
    const int first = i * kPerVector<kSize>;
    unit.vectors[i] = load_vector<kSize, kAligned, true>(x, index + first, count - first);
  }
  return unit;
}

/// The value of an element, from its bits.
__device__ inline float to_float(Element element, std::uint32_t bits) {
  return element == Element::kFloat32    ? std::bit_cast<float>(bits)
         : element == Element::kBFloat16 ? std::bit_cast<float>(bits << 16)
                                         : half_to_float(static_cast<std::uint16_t>(bits));
}

/// Element i of a unit as float.
template <Element kElement, int kSize = size_of(kElement)>
__device__ inline float value_of(const Unit<kSize>& unit, int i) {
  const int in_vector = i % kPerVector<kSize>;
  const std::uint32_t word = unit.vectors[i / kPerVector<kSize>].words[in_vector * kSize / 4];
  if constexpr (kElement == Element::kBFloat16) {
    return std::bit_cast<float>(i % 2 == 0 ? word << 16 : word & 0xFFFF0000U);
  } else if constexpr (kElement == Element::kFloat16) {
    return half_to_float(static_cast<std::uint16_t>(i % 2 == 0 ? word : word >> 16));
  } else {
    return std::bit_cast<float>(word);
  }
}

struct Float4 {
  float values[4];
};

/// Elements 4i .. 4i + 3 of a unit.
template <Element kElement, int kSize = size_of(kElement)>
__device__ inline Float4 values_of(const Unit<kSize>& unit, int i) {
  return {{value_of<kElement>(unit, 4 * i), value_of<kElement>(unit, 4 * i + 1),
           value_of<kElement>(unit, 4 * i + 2), value_of<kElement>(unit, 4 * i + 3)}};
}

__device__ inline Float4 all(float value) { return {{value, value, value, value}}; }

/// Four values, each times its scale, as a word of four codes.
template <Format kFormat>
__device__ inline std::uint32_t encode_word(const Float4& x, const Float4& scale) {
  const auto product = [&](int i) { return multiply(x.values[i], scale.values[i]); };
  const std::uint32_t low = encode_pair<kFormat>(product(0), product(1));
  const std::uint32_t high = encode_pair<kFormat>(product(2), product(3));
  return low | (high << 16);
}

/// The bits of a word's first n bytes; n may lie outside 0..4.
template <class Index>
__device__ inline std::uint32_t first_bytes(Index n) {
  return n <= 0 ? 0U : n >= 4 ? ~0U : (1U << (8 * static_cast<unsigned>(n))) - 1U;
}

/// Sets the codes from the n-th on to zero: the padding of a row.
template <class Index>
__device__ inline void keep_first(Bytes16& codes, Index n) {
  if (n < 16) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      codes.words[i] &= first_bytes(n - 4 * i);
    }
  }
}

}  // namespace float8::kernels
