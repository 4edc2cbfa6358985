#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "float8/export.h"
#include "float8/format.h"

namespace float8 {

/// The amax below which a scale stops growing, so that an all-zero tensor has a finite one.
inline constexpr double kSmallestAmax = 1e-12;

/// Rounds a scale down to a power of two: exp2(floor(L)), L the correctly rounded float32 log2.
///
/// Clearing the mantissa would not do: where a scale lies a few units below 2^k, L rounds up to k.
/// Zero and NaN stay what they are. `scale` is not negative.
FLOAT8_HOST_DEVICE inline float round_down_to_power_of_two(float scale) {
  if (!(scale > 0.0F)) {
    return scale;
  }
  // A double's log2 is off by far less than the distance to the nearest tie of a float.
  const auto logarithm = static_cast<float>(std::log2(static_cast<double>(scale)));
  return std::bit_cast<float>(detail::power_of_two_bits(static_cast<int>(std::floor(logarithm))));
}

/// The factor that multiplies values before their cast to `format`:
/// float32(float64(max of the format) / max(float64(amax), 1e-12)), with `power_of_two` rounded
/// down to one.
///
/// `amax` is max|x| >= 0. NaN gives NaN; an infinite amax gives 0, which makes a NaN of every
/// infinity (inf * 0), so that a non-finite input never becomes a finite number.
FLOAT8_HOST_DEVICE inline float amax_to_scale(float amax, Format format, bool power_of_two) {
  const auto wide = static_cast<double>(amax);
  const double bounded = wide < kSmallestAmax ? kSmallestAmax : wide;  // NaN passes
  const auto scale = static_cast<float>(static_cast<double>(layout_of(format).max) / bounded);
  return power_of_two ? round_down_to_power_of_two(scale) : scale;
}

}  // namespace float8
