// Every instruction set's build of the CPU's loops does what loops.h says, bit for bit, whatever
// the length.

#include "tests/cpp/format/loops_fixture.h"

#include <algorithm>
#include <bit>
#include <new>
#include <vector>

namespace float8::cpu {
namespace {

using testing::reference_decode;
using testing::reference_encode;

TEST_P(CpuLoops, AmaxIsTheLargestMagnitude) {
  for (int e = 0; e < kElements; ++e) {
    for_each_length([&](std::int64_t n) {
      Buffer x(n * kSizeOf[e]);
      x.fill(random);
      std::uint32_t want = 0;
      for (std::int64_t i = 0; i < n; ++i) {
        const std::uint32_t bits =
            e == 0 ? x.as<std::uint32_t>()[i] & 0x7FFFFFFFU : x.as<std::uint16_t>()[i] & 0x7FFFU;
        want = std::max(want, bits);
      }
      ASSERT_EQ(loops().amax[e](x.as(), n), want) << "element " << e << ", n " << n;
    });
  }
}

TEST_P(CpuLoops, AmaxColumnsKeepsTheLargestOne) {
  for (int e = 0; e < kElements; ++e) {
    for_each_length([&](std::int64_t n) {
      const auto rows = static_cast<std::int64_t>(random() % (2 * kAmaxRows + 2));
      Buffer x(rows * n * kSizeOf[e]);
      x.fill(random);
      Buffer amax(n * 4);
      std::vector<std::uint32_t> want(n);
      for (std::int64_t i = 0; i < n; ++i) {
        want[i] = static_cast<std::uint32_t>(random()) % (e == 0 ? 0x7FFFFFFFU : 0x7FFFU);
        amax.as<std::uint32_t>()[i] = want[i];
        for (std::int64_t at = i; at < rows * n; at += n) {
          const std::uint32_t bits = e == 0 ? x.as<std::uint32_t>()[at] & 0x7FFFFFFFU
                                            : x.as<std::uint16_t>()[at] & 0x7FFFU;
          want[i] = std::max(want[i], bits);
        }
      }
      loops().amax_columns[e](x.as(), rows, n, amax.as<std::uint32_t>());
      ASSERT_TRUE(std::equal(want.begin(), want.end(), amax.as<std::uint32_t>()))
          << "element " << e << ", " << rows << " x " << n;
      amax.expect_untouched_beyond();
    });
  }
}

TEST_P(CpuLoops, CastMultipliesInFloat32AndRounds) {
  const float scales[] = {1.0F, 0.37F, 1e-3F, 4.48e14F, 0x1p-5F, 0.0F};
  for (int e = 0; e < kElements; ++e) {
    for (int f = 0; f < kFormats; ++f) {
      for_each_length([&](std::int64_t n) {
        Buffer x(n * kSizeOf[e]);
        x.fill(random);
        const float scale = scales[random() % std::size(scales)];
        Buffer out(n);
        loops().cast[e][f](x.as(), n, scale, out.bytes());
        for (std::int64_t i = 0; i < n; ++i) {
          const float product = float_at(x, e, i) * scale;
          ASSERT_EQ(out.bytes()[i], reference_encode(product, kFormatOf[f]))
              << "element " << e << ", " << name_of(kFormatOf[f]) << ", product " << product;
        }
        out.expect_untouched_beyond();
      });
    }
  }
}

TEST_P(CpuLoops, CastColumnsHasAScaleForEachValue) {
  for (int e = 0; e < kElements; ++e) {
    for (int f = 0; f < kFormats; ++f) {
      for_each_length([&](std::int64_t n) {
        Buffer x(n * kSizeOf[e]);
        x.fill(random);
        Buffer scale(n * 4);
        for (std::int64_t i = 0; i < n; ++i) {
          scale.as<float>()[i] = std::ldexp(1.3F, static_cast<int>(random() % 60) - 30);
        }
        Buffer out(n);
        loops().cast_columns[e][f](x.as(), n, scale.as<float>(), out.bytes());
        for (std::int64_t i = 0; i < n; ++i) {
          const float product = float_at(x, e, i) * scale.as<float>()[i];
          ASSERT_EQ(out.bytes()[i], reference_encode(product, kFormatOf[f]))
              << "element " << e << ", " << name_of(kFormatOf[f]) << ", product " << product;
        }
        out.expect_untouched_beyond();
      });
    }
  }
}

TEST_P(CpuLoops, TransposeMovesEveryByte) {
  for (int i = 0; i < 60; ++i) {
    const auto rows = static_cast<std::int64_t>(random() % 70);
    const auto columns = static_cast<std::int64_t>(random() % 70);
    const auto ld_in = columns + static_cast<std::int64_t>(random() % 5);
    const auto ld_out = rows + static_cast<std::int64_t>(random() % 5);
    Buffer in(rows * ld_in);
    in.fill(random);
    Buffer out(columns * ld_out);
    Buffer want(columns * ld_out);
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < columns; ++c) {
        want.bytes()[c * ld_out + r] = in.bytes()[r * ld_in + c];
      }
    }
    loops().transpose(in.bytes(), ld_in, rows, columns, out.bytes(), ld_out, false);
    ASSERT_TRUE(out == want) << rows << " x " << columns;  // what lies between rows stays untouched
    out.expect_untouched_beyond();
  }
}

TEST_P(CpuLoops, TransposeStreamsWholeLinesAndTails) {
  for (const std::int64_t rows : {0, 1, 16, 48, 63, 64, 65, 100, 192}) {
    for (const std::int64_t columns : {1, 15, 16, 33, 80}) {
      const std::int64_t ld_out = (rows / kCacheLine + 2) * kCacheLine;
      Buffer in(rows * columns);
      in.fill(random);
      const auto size = static_cast<std::size_t>(columns * ld_out);
      const std::align_val_t line{kCacheLine};
      auto* out = new (line) std::uint8_t[size];
      std::vector<std::uint8_t> want(size, 0xA5);
      std::copy(want.begin(), want.end(), out);
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < columns; ++c) {
          want[c * ld_out + r] = in.bytes()[r * columns + c];
        }
      }
      loops().transpose(in.bytes(), columns, rows, columns, out, ld_out, true);
      EXPECT_TRUE(std::equal(want.begin(), want.end(), out)) << rows << " x " << columns;
      ::operator delete[](out, line);
    }
  }
}

TEST_P(CpuLoops, DecodeIsExact) {
  for (int f = 0; f < kFormats; ++f) {
    for_each_length([&](std::int64_t n) {
      Buffer in(n);
      in.fill(random);
      Buffer wide(n * 4);
      Buffer half(n * 2);
      loops().decode_float[f](in.bytes(), n, wide.as<float>());
      loops().decode_bfloat16[f](in.bytes(), n, half.as<std::uint16_t>());
      for (std::int64_t i = 0; i < n; ++i) {
        const double want = reference_decode(in.bytes()[i], kFormatOf[f]);
        const float got = wide.as<float>()[i];
        ASSERT_TRUE(std::isnan(want) ? std::isnan(got) : got == want) << want;
        ASSERT_EQ(half.as<std::uint16_t>()[i], std::bit_cast<std::uint32_t>(got) >> 16);
      }
      wide.expect_untouched_beyond();
      half.expect_untouched_beyond();
    });
  }
}

TEST_P(CpuLoops, DecodePanelInterleavesPairs) {
  for (int f = 0; f < kFormats; ++f) {
    for (const std::int64_t rows : {1, 2, 7, 16, 63, 64}) {
      for (const std::int64_t k : {2, 16, 64, 66, 130}) {
        const std::int64_t ld = k + 6;
        Buffer in((rows - 1) * ld + k);
        in.fill(random);
        Buffer out(rows * k * 2);
        loops().decode_panel[f](in.bytes(), ld, rows, k, out.as<std::uint16_t>());
        for (std::int64_t r = 0; r < rows; ++r) {
          for (std::int64_t i = 0; i < k; ++i) {
            std::uint16_t want = 0;
            kBaselineLoops.decode_bfloat16[f](in.bytes() + r * ld + i, 1, &want);
            ASSERT_EQ(out.as<std::uint16_t>()[(i / 2 * rows + r) * 2 + i % 2], want)
                << "row " << r << ", k " << i;
          }
        }
        out.expect_untouched_beyond();
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Variant, CpuLoops, ::testing::ValuesIn(kVariants),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(CpuLoopsNames, AreThoseOfTheirInstructionSets) {
  for (const Variant& variant : kVariants) {
    EXPECT_STREQ(variant.loops->name, variant.name);
  }
}

}  // namespace
}  // namespace float8::cpu
