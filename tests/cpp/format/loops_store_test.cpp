// The last step of a product: scale, round once to the result's type, add the bias.

#include <limits>

#include "tests/cpp/format/loops_fixture.h"

namespace float8::cpu {
namespace {

// A value rounded to an element type, in double.
double rounded(double value, int element) {
  if (element == 0) {
    return static_cast<float>(value);
  }
  return element == 1 ? testing::reference_round(value, 7, -126, 0x1.FEp127)
                      : testing::reference_round(value, 10, -14, 65504.0);
}

class CpuStore : public CpuLoops {
 protected:
  void check(int element, std::int64_t n, bool by_column, bool with_bias) {
    Buffer acc(n * 4);
    Buffer column_scale((by_column ? n : 1) * 4);
    Buffer bias(n * kSizeOf[element]);
    bias.fill(random);
    for (std::int64_t i = 0; i < n; ++i) {
      acc.as<float>()[i] = value();
      if (by_column) {
        column_scale.as<float>()[i] = value();
      }
    }
    if (!by_column) {
      *column_scale.as<float>() = value();
    }
    const float row_scale = std::ldexp(1.7F, static_cast<int>(random() % 20) - 10);
    Buffer out(n * kSizeOf[element]);
    loops().store[element](acc.as<float>(), n, row_scale, column_scale.as<float>(),
                           by_column ? 1 : 0, with_bias ? bias.as() : nullptr, out.as());
    for (std::int64_t i = 0; i < n; ++i) {
      const float scale = row_scale * column_scale.as<float>()[by_column ? i : 0];
      const float product = acc.as<float>()[i] * scale;
      double want = rounded(product, element);
      if (with_bias) {
        want = rounded(static_cast<float>(want) + float_at(bias, element, i), element);
      }
      const float got = float_at(out, element, i);
      ASSERT_TRUE(std::isnan(want) ? std::isnan(got)
                                   : got == want && std::signbit(got) == std::signbit(want))
          << "element " << element << ", product " << product << ": " << got << " instead of "
          << want;
    }
    out.expect_untouched_beyond();
  }

 private:
  // From subnormal to infinite results, and a NaN now and then.
  float value() {
    const auto kind = random() % 100;
    if (kind == 0) {
      return std::numeric_limits<float>::quiet_NaN();
    }
    const float mantissa = 1.0F + static_cast<float>(random() % 4096) * 0x1p-12F;
    const float magnitude = std::ldexp(mantissa, static_cast<int>(random() % 60) - 30);
    return kind % 2 == 0 ? magnitude : -magnitude;
  }
};

TEST_P(CpuStore, RoundsOnceForATensorsScale) {
  for (int e = 0; e < kElements; ++e) {
    for_each_length([&](std::int64_t n) { check(e, n, /*by_column=*/false, /*with_bias=*/false); });
  }
}

TEST_P(CpuStore, RoundsOnceForAScaleOfEachColumn) {
  for (int e = 0; e < kElements; ++e) {
    for_each_length([&](std::int64_t n) { check(e, n, /*by_column=*/true, /*with_bias=*/false); });
  }
}

TEST_P(CpuStore, AddsTheBiasAfterRounding) {
  for (int e = 0; e < kElements; ++e) {
    for_each_length([&](std::int64_t n) {
      check(e, n, /*by_column=*/true, /*with_bias=*/true);
      check(e, n, /*by_column=*/false, /*with_bias=*/true);
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Variant, CpuStore, ::testing::ValuesIn(kVariants),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace float8::cpu
