// Sums as tensor cores form them, on every instruction set; the rules themselves are tested against
// exact arithmetic in tests/python/numerics.

#include <algorithm>
#include <vector>

#include "tests/cpp/format/loops_fixture.h"

namespace float8::cpu {
namespace {

// The value with 13 fractional bits of `power`, a power of two, towards zero.
double cut(double value, double power) {
  return std::trunc(value / power * 0x1p13) * power / 0x1p13;
}

double power_of(double value) { return value == 0 ? 0 : std::ldexp(1.0, std::ilogb(value)); }

class CpuTensorCore : public CpuLoops {
 protected:
  // Random E4M3 values and the powers of their exponents, of which 2^-6 is the smallest.
  void fill(std::vector<float>& values, std::vector<float>& powers) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto code = static_cast<std::uint8_t>(random() % 0x7F + (random() % 2) * 128);
      values[i] = decode<Format::kE4M3>(code);
      const double power = power_of(values[i]);
      powers[i] = static_cast<float>(power == 0 ? 0 : std::max(power, 0x1p-6));
    }
  }
};

TEST_P(CpuTensorCore, CutsAndAddsAsTheReferenceInDouble) {
  for (const std::int64_t k : {0, 16, 32, 48, 128, 144, 1040}) {
    std::vector<float> a(k);
    std::vector<float> a_powers(k);
    std::vector<float> b(k * kTensorCoreColumns);
    std::vector<float> b_powers(b.size());
    fill(a, a_powers);
    fill(b, b_powers);
    for (const bool fast_accum : {false, true}) {
      Buffer sums(kTensorCoreColumns * sizeof(float));
      loops().tensor_core({a.data(), a_powers.data()}, {b.data(), b_powers.data()}, k, fast_accum,
                          sums.as<float>());
      sums.expect_untouched_beyond();
      for (std::int64_t c = 0; c < kTensorCoreColumns; ++c) {
        double sum = 0;
        float promoted = 0;
        for (std::int64_t first = 0; first < k; first += 32) {
          const std::int64_t last = std::min<std::int64_t>(first + 32, k);
          double power = power_of(sum);
          for (std::int64_t i = first; i < last; ++i) {
            power = std::max(power, 1.0 * a_powers[i] * b_powers[i * kTensorCoreColumns + c]);
          }
          sum = power == 0 ? 0 : cut(sum, power);
          for (std::int64_t i = first; i < last && power > 0; ++i) {
            sum += cut(1.0 * a[i] * b[i * kTensorCoreColumns + c], power);
          }
          sum = sum == 0 ? 0 : cut(sum, power_of(sum));
          if (!fast_accum && last % 128 == 0) {
            promoted += static_cast<float>(sum);
            sum = 0;
          }
        }
        ASSERT_EQ(sums.as<float>()[c], promoted + static_cast<float>(sum)) << k << " " << c;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(InstructionSet, CpuTensorCore, ::testing::ValuesIn(kVariants),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace float8::cpu
