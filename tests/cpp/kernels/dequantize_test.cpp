#include "kernels/quantize/dequantize.h"

#include "kernels/gemm/scale_product.h"
#include "tests/cpp/kernels/quantize_check.h"

// From float32 products to elements: dequantize, and scales for a GEMM that takes none.
namespace float8::kernels::testing {
namespace {

constexpr std::pair<std::int64_t, std::int64_t> kShapes[] = {{1, 1},   {3, 16},  {37, 48}, {29, 35},
                                                             {64, 80}, {300, 1}, {0, 4},   {4, 0}};

/// The bits of x rounded to an element type: ties to even, too large to infinity.
float rounded(double x, Element element) {
  using float8::testing::reference_round;
  return static_cast<float>(element == Element::kFloat32 ? static_cast<float>(x)
                            : element == Element::kBFloat16
                                ? reference_round(x, 7, -126, 0x1.FEp127)
                                : reference_round(x, 10, -14, 65504.0));
}

::testing::AssertionResult same_elements(Output& got, const std::vector<float>& want,
                                         Element element) {
  for (std::size_t i = 0; i < want.size(); ++i) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, got.data() + i * element_size(element), element_size(element));
    if (!same_float(value_of_bits(element, bits), want[i])) {
      return ::testing::AssertionFailure()
             << "element " << i << ": " << value_of_bits(element, bits) << ", not " << want[i];
    }
  }
  return ::testing::AssertionSuccess();
}

std::vector<float> random_scales(std::mt19937& random, std::int64_t n) {
  std::vector<float> scales(n);
  for (float& scale : scales) {
    scale = std::ldexp(1.0F + static_cast<float>(random() % 4096) / 4096,
                       static_cast<int>(random() % 24) - 16);
  }
  return scales;
}

TEST(LaunchDequantize, EveryFormatElementAndGranularity) {
  std::mt19937 random(1);
  for (const auto& [rows, columns] : kShapes) {
    for (const Format format : kFormats) {
      for (const Element element : kElements) {
        for (const Granularity granularity : {kTensor, kRow, kColumn}) {
          const std::int64_t offset = random() % 4 == 0 ? 1 : 0;
          std::vector<std::uint8_t> memory(rows * columns + offset);
          std::generate(memory.begin(), memory.end(), [&] { return random(); });
          const std::uint8_t* codes = memory.data() + offset;
          const std::vector<float> scales =
              random_scales(random, scale_count({nullptr, element, rows, columns}, granularity));
          std::vector<float> want(rows * columns);
          for (std::int64_t i = 0; i < rows * columns; ++i) {
            const auto code =
                static_cast<float>(float8::testing::reference_decode(codes[i], format));
            const float product = code * scales[scale_index(granularity, i / columns, i % columns)];
            want[i] = rounded(product, element);
          }
          Output out(rows * columns * element_size(element),
                     random() % 4 == 0 ? element_size(element) : 0);
          ASSERT_EQ(launch_dequantize(codes, format, scales.data(), granularity, rows, columns,
                                      out.data(), element, nullptr),
                    cudaSuccess);
          EXPECT_TRUE(out.intact());
          EXPECT_TRUE(same_elements(out, want, element)) << rows << " x " << columns;
        }
      }
    }
  }
}

// Every code, with a scale that makes subnormals of many.
TEST(LaunchDequantize, EveryCodeAtTinyScales) {
  std::vector<std::uint8_t> codes(256);
  for (int i = 0; i < 256; ++i) {
    codes[i] = static_cast<std::uint8_t>(i);
  }
  for (const Format format : kFormats) {
    for (const Element element : kElements) {
      for (const float scale : {0x1.8p-20F, 0x1.234p-126F, 0x1p110F, HUGE_VALF, std::nanf("")}) {
        std::vector<float> want(256);
        for (int i = 0; i < 256; ++i) {
          const auto code = static_cast<float>(float8::testing::reference_decode(i, format));
          want[i] = rounded(code * scale, element);
        }
        Output out(256 * element_size(element));
        ASSERT_EQ(launch_dequantize(codes.data(), format, &scale, kTensor, 16, 16, out.data(),
                                    element, nullptr),
                  cudaSuccess);
        EXPECT_TRUE(same_elements(out, want, element)) << scale;
      }
    }
  }
}

TEST(LaunchScaleProduct, ScalesRowsAndColumnsAndAddsTheBias) {
  std::mt19937 random(2);
  for (const auto& [rows, columns] : kShapes) {
    for (const Element element : kElements) {
      for (const std::int64_t offset : {0, 1}) {
        Input product(random, Element::kFloat32, rows, columns, offset, Values::kSpecials);
        for (std::int64_t i = 0; i < rows * columns; i += 13) {
          product.set(i, i % 2 == 0 ? 0x7FFFFFFFU : 0xFFFFFFFFU);  // NaNs that rounding would carry
        }
        const Input bias(random, element, 1, columns, offset);
        const std::vector<float> a = random_scales(random, rows);
        const std::vector<float> b = random_scales(random, columns);
        for (const bool with_bias : {false, true}) {
          std::vector<float> want(rows * columns);
          for (std::int64_t i = 0; i < rows * columns; ++i) {
            const std::int64_t r = i / columns;
            const std::int64_t c = i % columns;
            const float scale = a[r] * b[c];
            want[i] = rounded(product(r, c) * scale, element);
            if (with_bias) {
              want[i] = rounded(want[i] + bias(0, c), element);
            }
          }
          Output out(rows * columns * element_size(element));
          ASSERT_EQ(launch_scale_product(static_cast<const float*>(product.matrix().data), a.data(),
                                         b.data(), with_bias ? bias.matrix().data : nullptr, rows,
                                         columns, out.data(), element, nullptr),
                    cudaSuccess);
          EXPECT_TRUE(out.intact());
          EXPECT_TRUE(same_elements(out, want, element)) << rows << " x " << columns;
        }
      }
    }
  }
}

}  // namespace
}  // namespace float8::kernels::testing
