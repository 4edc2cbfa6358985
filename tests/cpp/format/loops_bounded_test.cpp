// The faster casts, for values that their scale is known to bring into the format's range: the same
// codes as the others.

#include <algorithm>
#include <bit>

#include "float8/scaling.h"
#include "tests/cpp/format/loops_fixture.h"

namespace float8::cpu {
namespace {

// How an element type splits its bits.
struct Fields {
  int mantissa_bits;
  std::uint32_t largest_exponent;  // of a finite value
};
constexpr Fields kFields[kElements] = {{23, 254}, {7, 254}, {10, 30}};

class CpuBoundedCast : public CpuLoops {
 protected:
  // Finite values down to 2^-18 of the largest, zeros and subnormals among them.
  void fill_finite(Buffer& x, int element, std::int64_t n) {
    const Fields fields = kFields[element];
    const std::uint32_t base = random() % (fields.largest_exponent + 1);
    for (std::int64_t i = 0; i < n; ++i) {
      const std::uint32_t down = random() % 19;
      const std::uint32_t exponent = base > down ? base - down : 0;
      // Where the mantissa is that of 1.75, max / amax is a power of two: a few units beyond it,
      // the rounded scale lies above the exact one.
      std::uint32_t mantissa = random() & ((1U << fields.mantissa_bits) - 1U);
      mantissa = random() % 4 == 0 ? (3U << (fields.mantissa_bits - 2)) +
                                         random() % std::min(50U, 1U << (fields.mantissa_bits - 2))
                                   : mantissa;
      mantissa = random() % 16 == 0 ? 0 : mantissa;
      const std::uint32_t magnitude = (exponent << fields.mantissa_bits) | mantissa;
      const bool negative = random() % 2 == 0;
      if (element == 0) {
        x.as<std::uint32_t>()[i] = magnitude | (negative ? 0x80000000U : 0U);
      } else {
        x.as<std::uint16_t>()[i] =
            static_cast<std::uint16_t>(magnitude | (negative ? 0x8000U : 0U));
      }
    }
  }
};

TEST_P(CpuBoundedCast, GivesTheSameCodesForAScaleFromAmax) {
  for (int e = 0; e < kElements; ++e) {
    for (int f = 0; f < kFormats; ++f) {
      for_each_length([&](std::int64_t n) {
        Buffer x(n * kSizeOf[e]);
        fill_finite(x, e, n);
        float amax = 0;
        for (std::int64_t i = 0; i < n; ++i) {
          amax = std::max(amax, std::fabs(float_at(x, e, i)));
        }
        const float scale = amax_to_scale(amax, kFormatOf[f], random() % 2 == 0);
        Buffer out(n);
        loops().cast_bounded[e][f](x.as(), n, scale, out.bytes());
        for (std::int64_t i = 0; i < n; ++i) {
          const float product = float_at(x, e, i) * scale;
          ASSERT_EQ(out.bytes()[i], testing::reference_encode(product, kFormatOf[f]))
              << "element " << e << ", " << name_of(kFormatOf[f]) << ", product " << product;
        }
        out.expect_untouched_beyond();
      });
    }
  }
}

TEST_P(CpuBoundedCast, GivesTheSameCodesForScalesOfColumns) {
  for (int e = 0; e < kElements; ++e) {
    for (int f = 0; f < kFormats; ++f) {
      for_each_length([&](std::int64_t n) {
        Buffer x(n * kSizeOf[e]);
        fill_finite(x, e, n);
        Buffer scale(n * 4);
        for (std::int64_t i = 0; i < n; ++i) {
          // The amax of a column whose other values are not seen here.
          const float larger = std::ldexp(1.0F, static_cast<int>(random() % 12));
          const float amax = std::min(std::fabs(float_at(x, e, i)) * larger, 3.4e38F);
          scale.as<float>()[i] = amax_to_scale(amax, kFormatOf[f], random() % 2 == 0);
        }
        Buffer out(n);
        loops().cast_columns_bounded[e][f](x.as(), n, scale.as<float>(), out.bytes());
        for (std::int64_t i = 0; i < n; ++i) {
          const float product = float_at(x, e, i) * scale.as<float>()[i];
          ASSERT_EQ(out.bytes()[i], testing::reference_encode(product, kFormatOf[f]))
              << "element " << e << ", " << name_of(kFormatOf[f]) << ", product " << product;
        }
        out.expect_untouched_beyond();
      });
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Variant, CpuBoundedCast, ::testing::ValuesIn(kVariants),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace float8::cpu
