#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "float8/format.h"

// The two formats a second time, from the tables of the OFP8 specification, in double and without
// bit tricks. Of the library it takes the enumeration and nothing else.
namespace float8::testing {

struct Specification {
  int exponent_bits;
  int mantissa_bits;
  int bias;
  double max;
};

inline Specification specification(Format format) {
  return format == Format::kE4M3 ? Specification{4, 3, 7, 448.0} : Specification{5, 2, 15, 57344.0};
}

/// The value that a code stands for.
inline double reference_decode(int code, Format format) {
  const Specification spec = specification(format);
  const double sign = (code & 0x80) != 0 ? -1.0 : 1.0;
  const int steps = 1 << spec.mantissa_bits;
  const int exponent = (code & 0x7F) / steps;
  const int mantissa = (code & 0x7F) % steps;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  if (format == Format::kE4M3 && (code & 0x7F) == 0x7F) {
    return nan;
  }
  if (format == Format::kE5M2 && exponent == 31) {
    return mantissa == 0 ? sign * std::numeric_limits<double>::infinity() : nan;
  }
  const double fraction = static_cast<double>(mantissa) / steps;
  return exponent == 0 ? sign * std::ldexp(fraction, 1 - spec.bias)
                       : sign * std::ldexp(1.0 + fraction, exponent - spec.bias);
}

/// The finite values of the codes 0, 1, 2, ... (positive sign), which ascend.
inline const std::vector<double>& magnitudes(Format format) {
  const auto build = [](Format f) {
    std::vector<double> values;
    for (int code = 0; reference_decode(code, f) <= specification(f).max; ++code) {
      values.push_back(reference_decode(code, f));
    }
    return values;
  };
  static const std::vector<double> e4m3 = build(Format::kE4M3);
  static const std::vector<double> e5m2 = build(Format::kE5M2);
  return format == Format::kE4M3 ? e4m3 : e5m2;
}

/// The code nearest to `value`, of two equally near ones the even one; saturates; NaN gives 0x7F.
inline std::uint8_t reference_encode(double value, Format format) {
  if (std::isnan(value)) {
    return 0x7F;
  }
  const std::vector<double>& all = magnitudes(format);
  const double magnitude = std::min(std::fabs(value), all.back());
  const auto above = std::lower_bound(all.begin(), all.end(), magnitude);
  auto code = static_cast<int>(above - all.begin());
  if (*above != magnitude) {
    const double to_above = *above - magnitude;
    const double to_below = magnitude - all[code - 1];  // both exact: few bits
    const bool down = to_below < to_above || (to_below == to_above && code % 2 != 0);
    code -= down ? 1 : 0;
  }
  return static_cast<std::uint8_t>(code | (std::signbit(value) ? 0x80 : 0));
}

/// The value of a bfloat16.
inline float reference_bfloat16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// The value of an IEEE binary16.
inline float reference_float16(std::uint16_t bits) {
  const float sign = (bits & 0x8000) != 0 ? -1.0F : 1.0F;
  const int exponent = (bits >> 10) & 31;
  const int mantissa = bits & 0x3FF;
  if (exponent == 31) {
    return mantissa == 0 ? sign * std::numeric_limits<float>::infinity()
                         : std::numeric_limits<float>::quiet_NaN();
  }
  return exponent == 0 ? sign * std::ldexp(static_cast<float>(mantissa), -24)
                       : sign * std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
}

/// `value` rounded to nearest even on a binary format with that many mantissa bits.
inline double reference_round(double value, int mantissa_bits, int min_exponent, double max) {
  if (!std::isfinite(value) || value == 0) {
    return value;
  }
  const int exponent = std::max(std::ilogb(value), min_exponent);
  const double step = std::ldexp(1.0, exponent - mantissa_bits);
  const double rounded = std::nearbyint(value / step) * step;
  return std::fabs(rounded) > max ? std::copysign(std::numeric_limits<double>::infinity(), value)
                                  : rounded;
}

}  // namespace float8::testing
