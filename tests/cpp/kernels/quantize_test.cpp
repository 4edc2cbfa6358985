#include "tests/cpp/kernels/quantize_check.h"

namespace float8::kernels::testing {
namespace {

std::int64_t between(std::mt19937& random, std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(random() % (high - low + 1));
}

TEST(LaunchQuantize, EveryMixOfCopies) {
  std::mt19937 random(1);
  for (const auto& [rows, columns] : {std::pair{144, 160}, {37, 53}, {16, 16}}) {
    for (const Element element : kElements) {
      const Input x(random, element, rows, columns, 0, Values::kSpecials);
      for (const Format format : kFormats) {
        for (const Mix& mix : kMixes) {
          for (const bool power_of_two : {false, true}) {
            check_quantize(x, format, power_of_two, mix);
          }
        }
      }
    }
  }
}

TEST(LaunchQuantize, RandomShapesAndAlignments) {
  std::mt19937 random(2);
  for (int i = 0; i < 120; ++i) {
    // Rows of whole vectors half of the time, at a whole vector's address in half of those.
    const std::int64_t columns = i % 2 == 0 ? between(random, 1, 300) : between(random, 1, 37) * 8;
    const auto values = static_cast<Values>(random() % 3);
    const Input x(random, kElements[i % 3], between(random, 1, 300), columns, i / 2 % 2, values);
    check_quantize(x, kFormats[random() % 2], random() % 2 == 0, kMixes[random() % 8]);
  }
}

TEST(LaunchQuantize, OneRowOneColumnOneValue) {
  std::mt19937 random(3);
  for (const auto& [rows, columns] : {std::pair{1, 1}, {1, 300}, {300, 1}, {1, 16}, {17, 1}}) {
    for (const Element element : kElements) {
      const Input x(random, element, rows, columns);
      for (const Mix& mix : kMixes) {
        check_quantize(x, Format::kE4M3, false, mix);
      }
    }
  }
}

TEST(LaunchQuantize, NoValuesHaveTheScaleOfAmaxZero) {
  std::mt19937 random(4);
  for (const auto& [rows, columns] : {std::pair{0, 48}, {48, 0}, {0, 0}}) {
    for (const Element element : kElements) {
      const Input x(random, element, rows, columns);
      for (const Mix& mix : kMixes) {
        check_quantize(x, Format::kE5M2, true, mix);
      }
    }
  }
}

// One value of each kind in a tensor that has only ordinary ones beside it, at its corners too.
TEST(LaunchQuantize, OneSpecialValueAnywhere) {
  constexpr std::uint32_t kSpecials[] = {0x7FC0U, 0x7F80U, 0x7F7FU, 0x8000U, 0x0001U, 0xFF80U};
  constexpr std::int64_t kRows = 133;
  constexpr std::int64_t kColumns = 136;
  std::mt19937 random(5);
  for (const std::int64_t place : {std::int64_t{0}, kColumns - 1, (kRows - 1) * kColumns,
                                   kRows * kColumns - 1, 70 * kColumns + 71}) {
    for (const std::uint32_t bits : kSpecials) {
      Input x(random, Element::kBFloat16, kRows, kColumns);
      x.set(place, bits);
      check_quantize(x, kFormats[random() % 2], random() % 2 == 0, kMixes[random() % 8]);
    }
  }
}

TEST(LaunchQuantize, AllZerosStayZeros) {
  std::mt19937 random(6);
  Input x(random, Element::kFloat16, 40, 24);
  for (std::int64_t i = 0; i < 40 * 24; ++i) {
    x.set(i, i % 2 == 0 ? 0U : 0x8000U);
  }
  for (const Mix& mix : kMixes) {
    check_quantize(x, Format::kE4M3, true, mix);
  }
}

TEST(LaunchQuantize, NothingWantedNothingDone) {
  std::mt19937 random(7);
  const Input x(random, Element::kFloat32, 4, 4);
  const Quantization q = {x.matrix(), Format::kE4M3, false, {}, {}};
  EXPECT_EQ(quantize_scratch_bytes(q), 0U);
  const std::int64_t before = host_cuda::settings().launches;
  EXPECT_EQ(launch_quantize(q, nullptr, nullptr), cudaSuccess);
  EXPECT_EQ(host_cuda::settings().launches, before);
}

TEST(LaunchQuantize, RefusesScalesAcrossTheContraction) {
  std::mt19937 random(8);
  const Input x(random, Element::kFloat32, 4, 4);
  Output out(64);
  Output scratch(1 << 16);
  Quantization q = {x.matrix(), Format::kE4M3, false, {out.data(), nullptr, kColumn}, {}};
  EXPECT_EQ(launch_quantize(q, scratch.data(), nullptr), cudaErrorInvalidValue);
  q.straight = {};
  q.transposed = {out.data(), nullptr, kRow};
  EXPECT_EQ(launch_quantize(q, scratch.data(), nullptr), cudaErrorInvalidValue);
}

TEST(LaunchQuantize, RefusesAnAmaxOfTheTensorForRowsAndColumns) {
  std::mt19937 random(10);
  const Input x(random, Element::kFloat32, 4, 4);
  Output out(64);
  Output amax(4, 4);
  Quantization q = {x.matrix(), Format::kE4M3, false, {out.data(), nullptr, kRow}, {}};
  q.amax = amax.floats();
  EXPECT_EQ(launch_quantize(q, nullptr, nullptr), cudaErrorInvalidValue);
  q.straight = {};
  q.transposed = {out.data(), nullptr, kColumn};
  EXPECT_EQ(launch_quantize(q, nullptr, nullptr), cudaErrorInvalidValue);
}

TEST(LaunchQuantize, ReturnsTheStatusOfALaunchThatFails) {
  std::mt19937 random(9);
  const Input x(random, Element::kBFloat16, 32, 32);
  for (const Granularity granularity : {kTensor, kRow}) {
    Output out(32 * 32);
    Output scale_inv(32 * 4);
    const Quantization q = {
        x.matrix(), Format::kE4M3, false, {out.data(), scale_inv.floats(), granularity}, {}};
    Output scratch(static_cast<std::int64_t>(quantize_scratch_bytes(q)));
    host_cuda::settings().next_status = cudaErrorLaunchOutOfResources;
    const std::int64_t before = host_cuda::settings().launches;
    EXPECT_EQ(launch_quantize(q, scratch.data(), nullptr), cudaErrorLaunchOutOfResources);
    EXPECT_EQ(host_cuda::settings().launches, before + 1);
    host_cuda::settings().next_status = cudaSuccess;
  }
}

}  // namespace
}  // namespace float8::kernels::testing
