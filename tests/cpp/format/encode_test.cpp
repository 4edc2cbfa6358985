#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>

#include "float8/format.h"
#include "tests/cpp/format/reference.h"

namespace float8::testing {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::uint8_t encode_as(float value, Format format) {
  return format == Format::kE4M3 ? encode<Format::kE4M3>(value) : encode<Format::kE5M2>(value);
}

float decode_as(std::uint8_t code, Format format) {
  return format == Format::kE4M3 ? decode<Format::kE4M3>(code) : decode<Format::kE5M2>(code);
}

// One assertion for millions of values: gtest's own would take minutes.
class Mismatches {
 public:
  explicit Mismatches(Format format) : format_(format) {}

  void compare(float value) {
    const int got = encode_as(value, format_);
    const int want = reference_encode(value, format_);
    if (got != want && count_++ == 0) {
      first_ = "encode(" + std::to_string(value) + "), bits " +
               std::to_string(std::bit_cast<std::uint32_t>(value)) + ": " + std::to_string(got) +
               " instead of " + std::to_string(want);
    }
    ++compared_;
  }

  void expect_none(int at_least) const {
    EXPECT_EQ(count_, 0) << "of " << compared_ << "; the first: " << first_;
    EXPECT_GE(compared_, at_least);
  }

 private:
  Format format_;
  int count_ = 0;
  int compared_ = 0;
  std::string first_;
};

class Fp8 : public ::testing::TestWithParam<Format> {};

TEST_P(Fp8, EveryCodeHasTheSpecificationsValue) {
  for (int code = 0; code < 256; ++code) {
    const double want = reference_decode(code, GetParam());
    const float got = decode_as(static_cast<std::uint8_t>(code), GetParam());
    EXPECT_TRUE(std::isnan(want) ? std::isnan(got) : got == want) << code << ": " << got;
    if (!std::isnan(want)) {
      EXPECT_EQ(std::signbit(got), code >= 128) << code;
    }
  }
}

TEST_P(Fp8, EveryFiniteCodeSurvivesARoundTrip) {
  int finite = 0;
  for (int code = 0; code < 256; ++code) {
    const float value = decode_as(static_cast<std::uint8_t>(code), GetParam());
    if (std::isfinite(value)) {
      EXPECT_EQ(encode_as(value, GetParam()), code);
      ++finite;
    }
  }
  EXPECT_EQ(finite, GetParam() == Format::kE4M3 ? 254 : 248);
}

TEST_P(Fp8, LayoutEndsWhereTheSpecificationDoes) {
  EXPECT_EQ(layout_of(GetParam()).max, specification(GetParam()).max);
  EXPECT_EQ(layout_of(GetParam()).mantissa_bits, specification(GetParam()).mantissa_bits);
  EXPECT_EQ(layout_of(GetParam()).exponent_bias, specification(GetParam()).bias);
}

TEST_P(Fp8, EncodesEveryBFloat16Value) {
  Mismatches mismatches(GetParam());
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    mismatches.compare(std::bit_cast<float>(bits << 16));
  }
  mismatches.expect_none(0x10000);
}

TEST_P(Fp8, EncodesEveryFloat16Value) {
  Mismatches mismatches(GetParam());
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    mismatches.compare(reference_float16(static_cast<std::uint16_t>(bits)));
  }
  mismatches.expect_none(0x10000);
}

TEST_P(Fp8, RoundsToNearestEvenAroundEveryBoundary) {
  Mismatches mismatches(GetParam());
  const std::vector<double>& all = magnitudes(GetParam());
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    // The midpoint has one bit more than the format: exact in a float.
    for (const double edge : {all[i], (all[i] + all[i + 1]) / 2, all[i + 1]}) {
      const auto value = static_cast<float>(edge);
      ASSERT_EQ(value, edge);
      for (const float near :
           {std::nextafter(value, 0.0F), value, std::nextafter(value, kInfinity)}) {
        mismatches.compare(near);
        mismatches.compare(-near);
      }
    }
  }
  mismatches.expect_none(18 * 123);
}

TEST_P(Fp8, TiesGoToTheEvenCode) {
  const std::vector<double>& all = magnitudes(GetParam());
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    const auto tie = static_cast<float>((all[i] + all[i + 1]) / 2);
    EXPECT_EQ(encode_as(tie, GetParam()), i % 2 == 0 ? i : i + 1) << tie;
  }
}

TEST_P(Fp8, EncodesRandomFloatBits) {
  Mismatches mismatches(GetParam());
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same values in every run
  for (int i = 0; i < 500000; ++i) {
    mismatches.compare(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
    // Most random bits are far outside the format: these are inside it.
    mismatches.compare(std::ldexp(1.0F + static_cast<float>(random()) * 0x1p-32F,
                                  static_cast<int>(random() % 40) - 20));
  }
  mismatches.expect_none(1000000);
}

TEST_P(Fp8, SaturatesAboveTheLargestValue) {
  const float max = layout_of(GetParam()).max;
  const std::uint8_t code = encode_as(max, GetParam());
  for (const float large : {std::nextafter(max, kInfinity), max * 1.5F, 3e38F, kInfinity}) {
    EXPECT_EQ(encode_as(large, GetParam()), code) << large;
    EXPECT_EQ(encode_as(-large, GetParam()), code | 0x80) << -large;
  }
}

TEST_P(Fp8, EveryNanBecomesTheSameCode) {
  for (const std::uint32_t bits :
       {0x7F800001U, 0x7FC00000U, 0x7FFFFFFFU, 0xFF800001U, 0xFFC00000U, 0xFFFFFFFFU}) {
    EXPECT_EQ(encode_as(std::bit_cast<float>(bits), GetParam()), 0x7F) << std::hex << bits;
  }
}

TEST_P(Fp8, ZerosKeepTheirSign) {
  EXPECT_EQ(encode_as(0.0F, GetParam()), 0x00);
  EXPECT_EQ(encode_as(-0.0F, GetParam()), 0x80);
}

INSTANTIATE_TEST_SUITE_P(Format, Fp8, ::testing::Values(Format::kE4M3, Format::kE5M2),
                         [](const auto& info) { return std::string(name_of(info.param)); });

// Compile time and run time agree: encode and decode are constexpr.
static_assert(encode<Format::kE4M3>(448.0F) == 0x7E);
static_assert(decode<Format::kE5M2>(0x7B) == 57344.0F);

}  // namespace
}  // namespace float8::testing
