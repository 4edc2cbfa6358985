#include "kernels/quantize/amax.h"
#include "kernels/quantize/cast.h"
#include "kernels/quantize/transpose.h"
#include "tests/cpp/kernels/quantize_check.h"

// The steps of a quantization, each by itself.
namespace float8::kernels::testing {
namespace {

constexpr Granularity kGranularities[] = {kTensor, kRow, kColumn};
constexpr std::pair<std::int64_t, std::int64_t> kShapes[] = {
    {1, 1}, {1, 300}, {300, 1}, {133, 136}, {129, 35}, {40, 144}, {0, 8}, {8, 0}, {0, 0}};

void check_amax(const Input& x, Granularity granularity) {
  const Matrix m = x.matrix();
  SCOPED_TRACE(describe(m, Format::kE4M3) + ", granularity " +
               std::to_string(static_cast<int>(granularity)));
  const std::vector<float> want = reference_amax(x, granularity);
  const std::int64_t size = element_size(m.element);
  // An odd place for the result: it may be part of a larger tensor.
  Output out(static_cast<std::int64_t>(want.size()) * size, size);
  const auto scratch_bytes = static_cast<std::int64_t>(amax_scratch_bytes(m, granularity));
  Output scratch(scratch_bytes);
  const std::int64_t before = host_cuda::settings().launches;
  ASSERT_EQ(launch_amax(m, granularity, out.data(), scratch_bytes == 0 ? nullptr : scratch.data(),
                        nullptr),
            cudaSuccess);
  EXPECT_LE(host_cuda::settings().launches - before, 2);
  EXPECT_TRUE(out.intact() && scratch.intact());
  for (std::size_t i = 0; i < want.size(); ++i) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, out.data() + i * size, size);
    ASSERT_TRUE(same_float(value_of_bits(m.element, bits), want[i])) << i;
  }
}

TEST(LaunchAmax, EveryGranularity) {
  std::mt19937 random(1);
  for (const auto& [rows, columns] : kShapes) {
    for (const Element element : kElements) {
      for (const std::int64_t offset : {0, 1}) {
        const Input x(random, element, rows, columns, offset, Values::kSpecials);
        for (const Granularity granularity : kGranularities) {
          check_amax(x, granularity);
        }
      }
    }
  }
}

// Several chunks of rows, several blocks, more than four vectors for each thread.
TEST(QuantizeLarge, AmaxOfManyParts) {
  std::mt19937 random(2);
  const std::pair<std::int64_t, std::int64_t> shapes[] = {
      {3000, 24}, {3000, 23}, {700, 300}, {9, 40000}, {4500, 264}};
  for (const auto& [rows, columns] : shapes) {
    const Input x(random, Element::kBFloat16, rows, columns);
    for (const Granularity granularity : kGranularities) {
      check_amax(x, granularity);
    }
  }
}

TEST(LaunchAmax, FindsTheLargestWhereverItLies) {
  std::mt19937 random(3);
  constexpr std::int64_t kRows = 50;
  constexpr std::int64_t kColumns = 41;
  for (std::int64_t i = 0; i < kRows * kColumns; i += 7) {
    Input x(random, Element::kFloat16, kRows, kColumns, i % 3);
    x.set(i, 0xFBFFU);
    check_amax(x, kGranularities[i % 3]);
  }
}

// More than four vectors for each thread of the largest grid. All zeros but one value.
TEST(QuantizeLarge, AmaxThreadsThatTakeSeveralRounds) {
  constexpr std::int64_t kRound = std::int64_t{1024} * 256 * 4 * 8;
  std::vector<std::uint16_t> memory(2 * kRound + kRound / 4 + 3, 0);
  const Matrix x = {memory.data() + 1, Element::kBFloat16, 1,
                    static_cast<std::int64_t>(memory.size()) - 1};
  Output scratch(static_cast<std::int64_t>(amax_scratch_bytes(x, kTensor)));
  for (const std::int64_t place : {kRound + 100, 2 * kRound - 100, x.columns}) {
    memory[place] = 0xC000;
    std::uint16_t amax = 0;
    ASSERT_EQ(launch_amax(x, kTensor, &amax, scratch.data(), nullptr), cudaSuccess);
    EXPECT_EQ(amax, 0x4000) << place;
    memory[place] = 0;
  }
}

TEST(LaunchCast, EveryGranularityAndLayout) {
  std::mt19937 random(4);
  for (const auto& [rows, columns] : kShapes) {
    for (const Element element : kElements) {
      const Input x(random, element, rows, columns, rows % 2, Values::kSpecials);
      for (const Granularity granularity : kGranularities) {
        const Format format = kFormats[random() % 2];
        SCOPED_TRACE(describe(x.matrix(), format));
        std::vector<float> scales(scale_count(x.matrix(), granularity));
        for (float& scale : scales) {
          // Negative scales, zero, infinity and NaN are not refused.
          const float special[] = {-1.5F, 0.0F, std::nanf(""), HUGE_VALF};
          scale = random() % 8 == 0 ? special[random() % 4]
                                    : std::ldexp(1.0F + static_cast<float>(random() % 1000) / 1000,
                                                 static_cast<int>(random() % 12));
        }
        for (const bool transposed : {false, true}) {
          const std::int64_t ld = padded_to_16(transposed ? rows : columns);
          Output out((transposed ? columns : rows) * ld);
          const std::int64_t before = host_cuda::settings().launches;
          ASSERT_EQ(launch_cast(x.matrix(), scales.data(), granularity, format,
                                transposed ? nullptr : out.data(),
                                transposed ? out.data() : nullptr, nullptr),
                    cudaSuccess);
          EXPECT_LE(host_cuda::settings().launches - before, 1);
          EXPECT_TRUE(out.intact());
          EXPECT_TRUE(same_bytes(out.bytes(),
                                 reference_codes(x, scales, granularity, format, transposed), ld));
        }
      }
    }
  }
}

TEST(LaunchTranspose, MovesEveryByteAndPads) {
  std::mt19937 random(5);
  for (int i = 0; i < 60; ++i) {
    const std::int64_t rows = 1 + random() % 300;
    const std::int64_t columns = i % 2 == 0 ? 1 + random() % 300 : 16 * (1 + random() % 18);
    const std::int64_t offset = i / 2 % 2;
    std::unique_ptr<std::uint8_t[]> memory(new std::uint8_t[rows * columns + offset]);
    std::uint8_t* data = memory.get() + offset;
    const std::int64_t ld = padded_to_16(rows);
    std::vector<std::uint8_t> want(columns * ld, 0);
    for (std::int64_t j = 0; j < rows * columns; ++j) {
      data[j] = static_cast<std::uint8_t>(random());
      want[j % columns * ld + j / columns] = data[j];
    }
    Output out(columns * ld);
    ASSERT_EQ(launch_transpose(data, rows, columns, out.data(), nullptr), cudaSuccess);
    EXPECT_TRUE(out.intact());
    EXPECT_TRUE(same_bytes(out.bytes(), want, ld)) << rows << " x " << columns;
  }
  EXPECT_EQ(launch_transpose(nullptr, 0, 5, nullptr, nullptr), cudaSuccess);
}

}  // namespace
}  // namespace float8::kernels::testing
