#pragma once

#include <bit>
#include <cstdint>

#include "float8/format.h"
#include "src/ops/cpu/loops/loops.h"

// Element types as bit patterns, so that the loops need no torch and no compiler's half type.
namespace float8::cpu {

// Signed magnitudes: every instruction set has a signed maximum or comparison. The functions on
// finite values leave the sign to the caller, who moves it in the narrow type.
struct Float32 {
  using Storage = float;
  using Magnitude = std::int32_t;
  static Magnitude magnitude(Storage x) { return std::bit_cast<std::int32_t>(x) & 0x7FFFFFFF; }
  static float finite_magnitude(Storage x) { return std::bit_cast<float>(magnitude(x)); }
  static std::uint32_t sign_bit(Storage x) {
    return (std::bit_cast<std::uint32_t>(x) >> 24) & 0x80U;
  }
  static float to_float(Storage x) { return x; }
  static Storage from_float(float x) { return x; }
};

struct BFloat16 {
  using Storage = std::uint16_t;
  using Magnitude = std::int16_t;
  static Magnitude magnitude(Storage x) { return static_cast<Magnitude>(x & 0x7FFFU); }
  static std::uint16_t sign_bit(Storage x) { return static_cast<std::uint16_t>((x >> 8) & 0x80U); }
  static float finite_magnitude(Storage x) { return to_float(static_cast<Storage>(x & 0x7FFFU)); }
  static float to_float(Storage x) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(x) << 16);
  }
  static Storage from_float(float x) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
    const bool is_nan = (bits & 0x7FFFFFFFU) > detail::kFloatInfinityBits;
    return static_cast<Storage>(is_nan ? 0x7FC0U : rounded);
  }
};

struct Float16 {
  using Storage = std::uint16_t;
  using Magnitude = std::int16_t;
  static Magnitude magnitude(Storage x) { return static_cast<Magnitude>(x & 0x7FFFU); }
  static std::uint16_t sign_bit(Storage x) { return static_cast<std::uint16_t>((x >> 8) & 0x80U); }
  static float finite_magnitude(Storage x) {
    const std::uint32_t magnitude = x & 0x7FFFU;
    // As if it were normal, one binade up: right for normal values less that binade, and for
    // subnormal ones less 2^-14, which the subtraction removes exactly.
    const std::uint32_t shifted = (magnitude << 13) + (113U << 23);
    const auto subnormal = std::bit_cast<std::uint32_t>(std::bit_cast<float>(shifted) - 0x1p-14F);
    return std::bit_cast<float>(magnitude < 0x400U ? subnormal : shifted - (1U << 23));
  }
  static float to_float(Storage x) {
    const std::uint32_t magnitude = x & 0x7FFFU;
    const std::uint32_t sign = (static_cast<std::uint32_t>(x) & 0x8000U) << 16;
    const std::uint32_t normal = (magnitude << 13) + (112U << 23);
    const auto subnormal = std::bit_cast<std::uint32_t>(
        static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-24F);
    const std::uint32_t finite = magnitude < 0x400U ? subnormal : normal;
    const std::uint32_t special = normal + (112U << 23);  // infinity and NaN: exponent 255
    return std::bit_cast<float>((magnitude < 0x7C00U ? finite : special) | sign);
  }
  static Storage from_float(float x) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
    const std::uint32_t sign = (bits & detail::kFloatSignBit) >> 16;
    constexpr std::uint32_t kOverflow = 0x477FF000U;  // 65520, the first value that rounds to inf
    std::uint32_t code = detail::round_magnitude<10, 15>(magnitude);
    code = magnitude >= kOverflow ? 0x7C00U : code;
    code = magnitude > detail::kFloatInfinityBits ? 0x7E00U : code;
    return static_cast<Storage>(code | sign);
  }
};

}  // namespace float8::cpu
