#pragma once

#include <bit>
#include <cstdint>

#include "float8/export.h"

namespace float8 {

/// The two 8-bit floating-point formats of the OCP OFP8 specification (rev. 1.0, 2023).
enum class Format : std::uint8_t {
  kE4M3,  ///< 4 exponent bits, 3 mantissa bits, bias 7; no infinity; torch.float8_e4m3fn
  kE5M2,  ///< 5 exponent bits, 2 mantissa bits, bias 15; torch.float8_e5m2
};

/// The numbers that define a format.
struct FormatLayout {
  int mantissa_bits;
  int exponent_bias;
  float max;  ///< the largest finite value
};

/// The layout of `format`: E4M3 ends at 448, E5M2 at 57344.
FLOAT8_HOST_DEVICE constexpr FormatLayout layout_of(Format format) {
  return format == Format::kE4M3 ? FormatLayout{3, 7, 448.0F} : FormatLayout{2, 15, 57344.0F};
}

/// The magnitude from which the clamp decides: halfway between the largest finite value and what
/// would come next, which rounding to nearest would reach.
FLOAT8_HOST_DEVICE constexpr float saturation_of(Format format) {
  return format == Format::kE4M3 ? 464.0F : 61440.0F;
}

/// The name that users write: "e4m3" or "e5m2".
constexpr const char* name_of(Format format) { return format == Format::kE4M3 ? "e4m3" : "e5m2"; }

/// The NaN that every backend writes, whatever the sign and payload of the NaN that came in.
inline constexpr std::uint8_t kNan = 0x7F;

namespace detail {

inline constexpr std::uint32_t kFloatInfinityBits = 0x7F800000U;
inline constexpr std::uint32_t kFloatSignBit = 0x80000000U;
inline constexpr int kFloatMantissaBits = 23;
inline constexpr int kFloatExponentBias = 127;

/// 2^exponent as a float's bits; the exponent must be that of a normal float.
FLOAT8_HOST_DEVICE constexpr std::uint32_t power_of_two_bits(int exponent) {
  return static_cast<std::uint32_t>(exponent + kFloatExponentBias) << kFloatMantissaBits;
}

/// Rounds a finite, non-negative float (as bits) to nearest even on a smaller binary format and
/// returns that format's exponent and mantissa field. No branch: a loop over it vectorises.
template <int kMantissaBits, int kExponentBias>
FLOAT8_HOST_DEVICE constexpr std::uint32_t round_magnitude(std::uint32_t bits) {
  constexpr int kShift = kFloatMantissaBits - kMantissaBits;
  // Normal values: add half a unit in the last place (less one where the kept bit is even), move
  // the exponent to its new bias, cut.
  constexpr std::uint32_t kHalfAndBias =
      ((1U << (kShift - 1)) - 1U) -
      (static_cast<std::uint32_t>(kFloatExponentBias - kExponentBias) << kFloatMantissaBits);
  const std::uint32_t normal = (bits + kHalfAndBias + ((bits >> kShift) & 1U)) >> kShift;
  // Subnormal values: a float addition whose last place is the format's smallest step rounds them.
  constexpr std::uint32_t kMagic = power_of_two_bits(kShift + 1 - kExponentBias);
  const std::uint32_t subnormal =
      std::bit_cast<std::uint32_t>(std::bit_cast<float>(bits) + std::bit_cast<float>(kMagic)) -
      kMagic;
  return bits < power_of_two_bits(1 - kExponentBias) ? subnormal : normal;
}

}  // namespace detail

/// Casts a float to 8 bits: clamps to the finite range, then rounds to nearest even. NaN gives
/// kNan. Infinity saturates, as cvt.rn.satfinite does; a tensor that holds one has scale 0, which
/// has already turned it into NaN.
template <Format kFormat>
FLOAT8_HOST_DEVICE constexpr std::uint8_t encode(float value) {
  constexpr FormatLayout kLayout = layout_of(kFormat);
  constexpr auto kMaxBits = std::bit_cast<std::uint32_t>(kLayout.max);
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t magnitude = bits & ~detail::kFloatSignBit;
  const std::uint32_t clamped = magnitude < kMaxBits ? magnitude : kMaxBits;
  const std::uint32_t rounded =
      detail::round_magnitude<kLayout.mantissa_bits, kLayout.exponent_bias>(clamped);
  const std::uint32_t code = rounded | ((bits & detail::kFloatSignBit) >> 24);
  return static_cast<std::uint8_t>(magnitude > detail::kFloatInfinityBits ? kNan : code);
}

/// The exact value of an 8-bit code. Infinities exist in E5M2 only.
template <Format kFormat>
FLOAT8_HOST_DEVICE constexpr float decode(std::uint8_t code) {
  constexpr FormatLayout kLayout = layout_of(kFormat);
  constexpr int kShift = detail::kFloatMantissaBits - kLayout.mantissa_bits;
  const std::uint32_t magnitude = code & 0x7FU;
  const std::uint32_t sign = (code & 0x80U) << 24;
  const std::uint32_t normal =
      (magnitude << kShift) +
      (static_cast<std::uint32_t>(detail::kFloatExponentBias - kLayout.exponent_bias)
       << detail::kFloatMantissaBits);
  // An integer times a power of two: exact even where the processor flushes subnormals to zero.
  constexpr std::uint32_t kStep =
      detail::power_of_two_bits(1 - kLayout.exponent_bias - kLayout.mantissa_bits);
  const auto subnormal = std::bit_cast<std::uint32_t>(
      static_cast<float>(static_cast<std::int32_t>(magnitude)) * std::bit_cast<float>(kStep));
  constexpr std::uint32_t kFirstNormal = 1U << kLayout.mantissa_bits;
  std::uint32_t bits = magnitude < kFirstNormal ? subnormal : normal;
  if constexpr (kFormat == Format::kE4M3) {
    bits = magnitude == kNan ? 0x7FC00000U : bits;
  } else {
    bits = magnitude == 0x7CU ? detail::kFloatInfinityBits : bits;
    bits = magnitude > 0x7CU ? 0x7FC00000U : bits;
  }
  return std::bit_cast<float>(bits | sign);
}

}  // namespace float8
