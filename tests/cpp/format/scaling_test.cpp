#include "float8/scaling.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

#include "tests/cpp/format/reference.h"

namespace float8::testing {
namespace {

__extension__ using Wide = unsigned __int128;

// n / d rounded to `bits` bits, to nearest even: whole numbers only. Scaled by 2^exponent.
double rounded_quotient(Wide n, Wide d, int bits, int exponent) {
  while (n / d < (Wide{1} << (bits - 1))) {
    n <<= 1;
    --exponent;
  }
  while (n / d >= (Wide{1} << bits)) {
    d <<= 1;
    ++exponent;
  }
  Wide quotient = n / d;
  const Wide rest = n % d * 2;
  quotient += rest > d || (rest == d && quotient % 2 == 1) ? 1 : 0;
  return std::ldexp(static_cast<double>(static_cast<std::uint64_t>(quotient)), exponent);
}

// float32(float64(max / amax)) by whole numbers: amax and 1e-12 as mantissa times power of two.
float reference_scale(double amax, Format format) {
  const double bounded = amax < 1e-12 ? 1e-12 : amax;
  int exponent = 0;
  const double fraction = std::frexp(bounded, &exponent);
  const auto divisor = static_cast<std::uint64_t>(std::ldexp(fraction, 53));
  // 448 = 7 * 2^6 and 57344 = 7 * 2^13.
  const int max_exponent = format == Format::kE4M3 ? 6 : 13;
  const double quotient =
      rounded_quotient(Wide{7}, Wide{divisor}, 53, max_exponent - exponent + 53);
  int quotient_exponent = 0;
  const double quotient_fraction = std::frexp(quotient, &quotient_exponent);
  const auto mantissa = static_cast<std::uint64_t>(std::ldexp(quotient_fraction, 53));
  return static_cast<float>(rounded_quotient(Wide{mantissa}, Wide{1}, 24, quotient_exponent - 53));
}

class Scale : public ::testing::TestWithParam<Format> {};

TEST_P(Scale, IsTheExactQuotientRoundedTwice) {
  std::mt19937 random(2);  // NOLINT(cert-msc51-cpp)
  int compared = 0;
  for (int i = 0; i < 20000; ++i) {
    const auto amax = std::bit_cast<float>(static_cast<std::uint32_t>(random()) & 0x7FFFFFFFU);
    if (std::isfinite(amax)) {
      ASSERT_EQ(amax_to_scale(amax, GetParam(), false), reference_scale(amax, GetParam())) << amax;
      ++compared;
    }
  }
  EXPECT_GT(compared, 19000);
}

TEST_P(Scale, IsExactForEveryHalfPrecisionAmax) {
  for (std::uint32_t bits = 0; bits < 0x8000; ++bits) {
    const float bfloat16 = std::bit_cast<float>(bits << 16);
    const float float16 = reference_float16(static_cast<std::uint16_t>(bits));
    for (const float amax : {bfloat16, float16}) {
      if (std::isfinite(amax)) {
        ASSERT_EQ(amax_to_scale(amax, GetParam(), false), reference_scale(amax, GetParam()))
            << amax;
      }
    }
  }
}

TEST_P(Scale, PowerOfTwoClearsTheMantissaForEveryHalfPrecisionAmax) {
  for (std::uint32_t bits = 0; bits < 0x8000; ++bits) {
    const float bfloat16 = std::bit_cast<float>(bits << 16);
    const float float16 = reference_float16(static_cast<std::uint16_t>(bits));
    for (const float amax : {bfloat16, float16}) {
      if (std::isfinite(amax)) {
        const float scale = amax_to_scale(amax, GetParam(), false);
        const float want = std::bit_cast<float>(std::bit_cast<std::uint32_t>(scale) & 0xFF800000U);
        ASSERT_EQ(amax_to_scale(amax, GetParam(), true), want) << amax;
      }
    }
  }
}

TEST_P(Scale, OfAnAllZeroTensorIsFinite) {
  EXPECT_EQ(amax_to_scale(0.0F, GetParam(), false),
            GetParam() == Format::kE4M3 ? 4.48e14F : 5.7344e16F);
  EXPECT_EQ(amax_to_scale(1e-30F, GetParam(), false), amax_to_scale(0.0F, GetParam(), false));
  EXPECT_EQ(amax_to_scale(0.0F, GetParam(), true), GetParam() == Format::kE4M3 ? 0x1p48F : 0x1p55F);
}

TEST_P(Scale, OfANonFiniteTensorMakesNoFiniteNumber) {
  for (const bool power_of_two : {false, true}) {
    const float infinity = std::numeric_limits<float>::infinity();
    EXPECT_EQ(amax_to_scale(infinity, GetParam(), power_of_two), 0.0F);
    EXPECT_TRUE(std::isnan(amax_to_scale(std::nanf(""), GetParam(), power_of_two)));
  }
}

TEST_P(Scale, BringsTheLargestValueToTheFormatsEnd) {
  for (const float amax : {1e-12F, 0.1F, 1.0F, 3.0F, 448.0F, 3e38F}) {
    const double product = static_cast<double>(amax) * amax_to_scale(amax, GetParam(), false);
    EXPECT_NEAR(product, specification(GetParam()).max, 1e-6 * product) << amax;
    const double rounded = static_cast<double>(amax) * amax_to_scale(amax, GetParam(), true);
    EXPECT_LE(rounded, specification(GetParam()).max);
    EXPECT_GT(rounded, specification(GetParam()).max / 2);
  }
}

INSTANTIATE_TEST_SUITE_P(Format, Scale, ::testing::Values(Format::kE4M3, Format::kE5M2),
                         [](const auto& info) { return std::string(name_of(info.param)); });

// How many units in the last place below 2^k still count as 2^k: those whose log2, which is
// k - ulps * 2^-24 / ln 2, lies less than half a unit below k. The unit of the floats next to k on
// its lower side is 2^-23 times their leading power of two.
int ulps_that_round_up(int k) {
  if (k == 0) {
    return 0;  // floats just below zero are as fine as log2 needs
  }
  const double below = k < 0 ? std::fabs(k) : std::nextafter(static_cast<float>(k), 0.0F);
  const double half_unit = std::ldexp(1.0, std::ilogb(below) - 24);
  return static_cast<int>(std::floor(half_unit * 0x1p24 * std::log(2.0)));
}

TEST(RoundDownToPowerOfTwo, RoundsUpOnlyAFewUnitsBelowAPowerOfTwo) {
  for (int k = -125; k <= 127; ++k) {
    const auto power = std::bit_cast<std::uint32_t>(std::ldexp(1.0F, k));
    const int last = ulps_that_round_up(k);
    for (int ulps = 1; ulps <= 100; ++ulps) {
      const auto scale = std::bit_cast<float>(power - static_cast<std::uint32_t>(ulps));
      ASSERT_EQ(round_down_to_power_of_two(scale), std::ldexp(1.0F, ulps <= last ? k : k - 1))
          << ulps << " units below 2^" << k << ", of which " << last << " round up";
    }
  }
}

TEST(RoundDownToPowerOfTwo, AgreesWithALongDoublesLogarithm) {
  std::mt19937 random(3);  // NOLINT(cert-msc51-cpp)
  for (int i = 0; i < 100000; ++i) {
    const std::uint32_t bits = 0x00800000U + static_cast<std::uint32_t>(random()) % 0x7F000000U;
    const auto scale = std::bit_cast<float>(bits);
    const auto logarithm = static_cast<float>(std::log2(static_cast<long double>(scale)));
    const float want = std::ldexp(1.0F, static_cast<int>(std::floor(logarithm)));
    ASSERT_EQ(round_down_to_power_of_two(scale), want) << scale;
  }
}

TEST(RoundDownToPowerOfTwo, KeepsPowersOfTwoZeroAndNan) {
  for (int k = -126; k <= 127; ++k) {
    EXPECT_EQ(round_down_to_power_of_two(std::ldexp(1.0F, k)), std::ldexp(1.0F, k));
  }
  EXPECT_EQ(round_down_to_power_of_two(0.0F), 0.0F);
  EXPECT_TRUE(std::isnan(round_down_to_power_of_two(std::nanf(""))));
}

}  // namespace
}  // namespace float8::testing
