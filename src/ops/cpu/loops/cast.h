#pragma once

#include <bit>
#include <cstdint>

#include "float8/format.h"
#include "src/ops/cpu/loops/convert.h"
#include "src/ops/cpu/loops/widen.h"

// The loops of quantization: amax and casts. Included by loops.cpp only, once for each instruction
// set. Written so that GCC vectorises them; look at the assembly after a change.
namespace float8::cpu {
namespace {  // NOLINT(google-build-namespaces): one copy for each instruction set

template <class E>
std::uint32_t amax(const void* data, std::int64_t n) {
  const auto* x = static_cast<const typename E::Storage*>(data);
  typename E::Magnitude result = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto magnitude = E::magnitude(x[i]);
    result = magnitude > result ? magnitude : result;
  }
  return static_cast<std::uint32_t>(result);
}

// kRows rows at a time: the maxima so far are wider than the values, and are read and written once
// for all of them.
template <class E, std::int64_t kRows>
void amax_columns_of(const typename E::Storage* __restrict x, std::int64_t n,
                     std::uint32_t* __restrict amax) {
  for (std::int64_t i = 0; i < n; ++i) {
    auto largest = E::magnitude(x[i]);
    for (std::int64_t r = 1; r < kRows; ++r) {
      const auto magnitude = E::magnitude(x[r * n + i]);
      largest = magnitude > largest ? magnitude : largest;
    }
    const auto before = static_cast<std::int32_t>(amax[i]);
    amax[i] = static_cast<std::uint32_t>(largest > before ? largest : before);
  }
}

template <class E>
void amax_columns(const void* data, std::int64_t rows, std::int64_t n, std::uint32_t* amax) {
  const auto* x = static_cast<const typename E::Storage*>(data);
  std::int64_t r = 0;
  for (; r + kAmaxRows <= rows; r += kAmaxRows) {
    amax_columns_of<E, kAmaxRows>(x + r * n, n, amax);
  }
  for (; r < rows; ++r) {
    amax_columns_of<E, 1>(x + r * n, n, amax);
  }
}

// Any value and any scale.
struct Any {
  template <class E, Format kFormat>
  static std::uint8_t encode(typename E::Storage x, float scale) {
    return float8::encode<kFormat>(E::to_float(x) * scale);
  }
};

// Finite values whose scale keeps them within the format: neither clamp nor NaN, and one path for
// normal and subnormal results.
struct Bounded {
  // Adding 2^(exponent + shift) rounds a float to the format's step in the float's binade (at least
  // the smallest normal one), to nearest even; the count of steps is left in the last bits. The
  // exponent field goes on top of it, and kOffset, which the addition carries along for nothing,
  // rebiases it. Only the last 8 bits count.
  template <Format kFormat>
  static std::uint32_t round(float magnitude) {
    constexpr FormatLayout kLayout = layout_of(kFormat);
    constexpr int kShift = detail::kFloatMantissaBits - kLayout.mantissa_bits;
    constexpr auto kSmallestNormal =
        static_cast<std::int32_t>(detail::power_of_two_bits(1 - kLayout.exponent_bias));
    constexpr int kBias = detail::kFloatExponentBias - kLayout.exponent_bias + 1;
    constexpr int kOffset = (-kBias * (1 << kLayout.mantissa_bits)) & 0xFF;
    const std::int32_t exponent = std::bit_cast<std::int32_t>(magnitude) & 0x7F800000;
    const std::int32_t binade = exponent > kSmallestNormal ? exponent : kSmallestNormal;
    const auto shifter =
        std::bit_cast<float>(binade + (kShift << detail::kFloatMantissaBits) + kOffset);
    const auto sum = std::bit_cast<std::uint32_t>(magnitude + shifter);
    return sum + (static_cast<std::uint32_t>(binade) >> kShift);
  }

  template <class E, Format kFormat>
  static std::uint8_t encode(typename E::Storage x, float scale) {
    const auto code = round<kFormat>(E::finite_magnitude(x) * scale);
    return static_cast<std::uint8_t>(code | E::sign_bit(x));
  }
};

template <class Encoder, class E, Format kFormat>
void cast(const void* data, std::int64_t n, float scale, std::uint8_t* __restrict out) {
  const auto* __restrict x = static_cast<const typename E::Storage*>(data);
  for (std::int64_t i = 0; i < n; ++i) {
    out[i] = Encoder::template encode<E, kFormat>(x[i], scale);
  }
}

template <class Encoder, class E, Format kFormat>
void cast_columns(const void* data, std::int64_t n, const float* __restrict scale,
                  std::uint8_t* __restrict out) {
  const auto* __restrict x = static_cast<const typename E::Storage*>(data);
  for (std::int64_t i = 0; i < n; ++i) {
    out[i] = Encoder::template encode<E, kFormat>(x[i], scale[i]);
  }
}

// float16 by way of float32, where that is one instruction.
constexpr std::int64_t kWidened = 256;

template <class Encoder, Format kFormat>
void cast_float16(const void* data, std::int64_t n, float scale, std::uint8_t* out) {
  const auto* x = static_cast<const std::uint16_t*>(data);
  float wide[kWidened];
  for (std::int64_t i = 0; i < n; i += kWidened) {
    const std::int64_t count = n - i < kWidened ? n - i : kWidened;
    widen_float16(x + i, count, wide);
    cast<Encoder, Float32, kFormat>(wide, count, scale, out + i);
  }
}

template <class Encoder, Format kFormat>
void cast_columns_float16(const void* data, std::int64_t n, const float* scale, std::uint8_t* out) {
  const auto* x = static_cast<const std::uint16_t*>(data);
  float wide[kWidened];
  for (std::int64_t i = 0; i < n; i += kWidened) {
    const std::int64_t count = n - i < kWidened ? n - i : kWidened;
    widen_float16(x + i, count, wide);
    cast_columns<Encoder, Float32, kFormat>(wide, count, scale + i, out + i);
  }
}

}  // namespace
}  // namespace float8::cpu
