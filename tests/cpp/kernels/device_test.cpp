#include "kernels/device.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "tests/cpp/format/reference.h"

// The host forms of what kernels/device.h does in one instruction, against formulas of their own.
namespace float8::kernels {
namespace {

using testing::reference_decode;
using testing::reference_encode;
using testing::reference_float16;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

bool same(float a, float b) {
  return std::isnan(b) ? std::isnan(a)
                       : std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

// Every float whose lower half is 0, and random ones.
std::vector<float> floats() {
  std::vector<float> values;
  for (std::uint32_t high = 0; high < 0x10000U; ++high) {
    values.push_back(std::bit_cast<float>(high << 16));
  }
  std::mt19937 random(1);
  for (int i = 0; i < 200000; ++i) {
    values.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
  }
  return values;
}

template <Format kFormat>
void check_encode_pair() {
  const std::vector<float> values = floats();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float low = values[i];
    const float high = values[(i + 12345) % values.size()];
    const int expected = reference_encode(low, kFormat) | (reference_encode(high, kFormat) << 8);
    ASSERT_EQ(encode_pair<kFormat>(low, high), expected) << low << " " << high;
  }
}

TEST(HostDevice, EncodePairIsTheSpecificationsRounding) {
  check_encode_pair<Format::kE4M3>();
  check_encode_pair<Format::kE5M2>();
}

template <Format kFormat>
void check_decode_pair() {
  for (int codes = 0; codes < 0x10000; ++codes) {
    float low = -1;
    float high = -1;
    decode_pair<kFormat>(static_cast<std::uint16_t>(codes), low, high);
    ASSERT_TRUE(same(low, static_cast<float>(reference_decode(codes & 0xFF, kFormat)))) << codes;
    ASSERT_TRUE(same(high, static_cast<float>(reference_decode(codes >> 8, kFormat)))) << codes;
  }
}

TEST(HostDevice, DecodePairIsTheSpecificationsTable) {
  check_decode_pair<Format::kE4M3>();
  check_decode_pair<Format::kE5M2>();
}

TEST(HostDevice, HalfToFloatOfEveryHalf) {
  for (int bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    ASSERT_TRUE(same(half_to_float(half), reference_float16(half))) << bits;
  }
}

TEST(HostDevice, FloatToHalfOfEveryHalfAndOfEveryTie) {
  for (std::uint32_t bits = 0; bits < 0x7C00U; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = reference_float16(half);
    // Halfway to the next half, where 65536 stands for infinity: to the even one.
    const float next =
        bits == 0x7BFFU ? 65536.0F : reference_float16(static_cast<std::uint16_t>(bits + 1));
    const float tie = (value + next) / 2;
    const auto even = static_cast<std::uint16_t>(bits + bits % 2);
    for (const std::uint16_t sign : {0x0000, 0x8000}) {
      const float s = sign == 0 ? 1.0F : -1.0F;
      ASSERT_EQ(float_to_half(s * value), half | sign);
      ASSERT_EQ(float_to_half(s * tie), even | sign) << tie;
      ASSERT_EQ(float_to_half(s * std::nextafter(tie, 0.0F)), half | sign) << tie;
      ASSERT_EQ(float_to_half(s * std::nextafter(tie, kInfinity)), (half + 1) | sign) << tie;
    }
  }
  EXPECT_EQ(float_to_half(kInfinity), 0x7C00);
  EXPECT_EQ(float_to_half(-1e30F), 0xFC00);
  EXPECT_GT(float_to_half(std::nanf("")) & 0x7FFF, 0x7C00);
}

TEST(HostDevice, SelectBytes) {
  const std::uint8_t bytes[8] = {0x10, 0x21, 0x32, 0x43, 0x54, 0x65, 0x76, 0x87};
  for (std::uint32_t selector = 0; selector < 0x8000U; ++selector) {
    if ((selector & 0x8888U) != 0) {
      continue;
    }
    const std::uint32_t result = select_bytes(0x43322110U, 0x87766554U, selector);
    for (int i = 0; i < 4; ++i) {
      ASSERT_EQ((result >> (8 * i)) & 0xFFU, bytes[(selector >> (4 * i)) & 7]) << selector;
    }
  }
}

TEST(HostDevice, MaxHalves) {
  EXPECT_EQ(max_halves(0x00010002U, 0x00020001U), 0x00020002U);
  EXPECT_EQ(max_halves(0x7FFF8000U, 0x80007FFFU), 0x80008000U);
  EXPECT_EQ(max_halves(0xFFFF0000U, 0x0000FFFFU), 0xFFFFFFFFU);
}

TEST(HostDevice, MultiplyRoundsBeforeAnAddition) {
  volatile float a = 1.0F + std::ldexp(1.0F, -12);
  EXPECT_EQ(multiply(a, a) - (1.0F + std::ldexp(1.0F, -11)), 0.0F);  // fused: 2^-24
}

}  // namespace
}  // namespace float8::kernels
