#include "kernels/quantize/measure.h"
#include "tests/cpp/kernels/quantize_check.h"

// The number of launches, and (QuantizeLarge) shapes that make blocks take several tiles, strips or
// chunks.
namespace float8::kernels::testing {
namespace {

TEST(QuantizeLaunches, RowwiseTakesOneAndTheRestTwo) {
  std::mt19937 random(1);
  for (const std::int64_t columns : {24, 33, 1000}) {
    for (const Element element : kElements) {
      const Input x(random, element, 40, columns);
      for (const Mix& mix : kMixes) {
        const bool rowwise = mix.straight && mix.straight_scale == kRow && !mix.transposed;
        EXPECT_EQ(check_quantize(x, Format::kE4M3, false, mix), rowwise ? 1 : 2);
      }
    }
  }
}

TEST(QuantizeLaunches, RowsOfManyWarps) {
  std::mt19937 random(2);
  // A warp's registers hold 2048 columns of 16 bits; then 2, 4, 8 and 16 warps share a row.
  for (const std::int64_t columns : {2048, 2049, 4096, 5000, 8200, 16400, 20000, 32768}) {
    for (const Element element : {Element::kBFloat16, Element::kFloat32}) {
      const std::int64_t k = columns / (element == Element::kFloat32 ? 2 : 1);
      Input x(random, element, 5, k);
      // The largest value in the first, the last or any warp's part of a row.
      for (const std::int64_t place : {std::int64_t{0}, 2 * k - 1, 2 * k + k / 2, 3 * k + k / 3}) {
        x.set(place, element == Element::kFloat32 ? 0xC7000000U : 0xC700U);
      }
      EXPECT_EQ(check_quantize(x, Format::kE4M3, false, kMixes[1]), 1);
    }
  }
}

TEST(QuantizeLarge, RowsThatNoBlockHolds) {
  std::mt19937 random(3);
  for (const std::int64_t columns : {150000, 32769}) {
    const Input x(random, Element::kBFloat16, 5, columns, 0, Values::kSpecials);
    EXPECT_EQ(check_quantize(x, Format::kE4M3, true, kMixes[1]), 2);
    EXPECT_EQ(check_quantize(x, Format::kE4M3, true, kMixes[7]), 2);
  }
  const Input x(random, Element::kFloat32, 3, 16400);
  EXPECT_EQ(check_quantize(x, Format::kE5M2, false, kMixes[1]), 2);
  EXPECT_EQ(check_quantize(x, Format::kE5M2, false, kMixes[5]), 2);
}

// 1101 tiles below each other: a block takes three.
TEST(QuantizeLarge, BlocksTakeSeveralTiles) {
  std::mt19937 random(4);
  const std::int64_t rows = 1100 * 128 + 5;
  const Input x(random, Element::kBFloat16, rows, 8, 0, Values::kSpecials);
  check_quantize(x, Format::kE4M3, false, kMixes[4]);
  const Input narrow(random, Element::kFloat32, rows, 3);
  check_quantize(narrow, Format::kE5M2, true, kMixes[5]);
  check_quantize(narrow, Format::kE5M2, true, kMixes[6]);
}

// The largest value in one strip of a block is not lost in the next.
TEST(QuantizeLarge, TensorOfSeveralStrips) {
  std::mt19937 random(8);
  for (const std::int64_t place : {5, 9000, 24000}) {
    Input x(random, Element::kBFloat16, 2, 25000);
    x.set(place, 0xC700U);
    check_quantize(x, Format::kE4M3, false, kMixes[6]);
  }
}

// Forty chunks of rows, and columns that have their largest values in all of them.
TEST(QuantizeLarge, ColumnsWhoseMaximaLieAnywhere) {
  std::mt19937 random(9);
  constexpr std::int64_t kRows = 2560;
  constexpr std::int64_t kColumns = 264;
  for (const Element element : {Element::kBFloat16, Element::kFloat32}) {
    Input x(random, element, kRows, kColumns);
    for (std::int64_t c = 0; c < kColumns; ++c) {
      x.set(c * 97 % kRows * kColumns + c, element == Element::kFloat32 ? 0xC7000000U : 0xC700U);
    }
    for (const Mix& mix : {kMixes[3], kMixes[5], kMixes[7]}) {
      check_quantize(x, Format::kE4M3, false, mix);
    }
  }
}

// A block's rows lie in shared memory, however many x has: more of them, more blocks.
TEST(QuantizeLarge, MoreRowsThanSharedMemoryOfUsualBlocks) {
  const Matrix huge = {nullptr, Element::kBFloat16, std::int64_t{1} << 32, 64};
  const MeasureShape shape = measure_shape(huge, /*row_results=*/true);
  EXPECT_LE(shape.rows_per_block, 2048);
  EXPECT_GE(shape.rows_per_block * shape.blocks(), huge.rows);
  std::mt19937 random(5);
  const Input x(random, Element::kBFloat16, 272000, 1);
  EXPECT_EQ(check_quantize(x, Format::kE4M3, true, kMixes[7]), 2);
}

TEST(QuantizeLarge, ManyColumnsInStrips) {
  std::mt19937 random(6);
  for (const std::int64_t columns : {300 * 256, 70001}) {
    const Input x(random, Element::kFloat16, 9, columns);
    check_quantize(x, Format::kE4M3, true, kMixes[3]);
  }
}

TEST(QuantizeLaunches, AnyOrderOfBlocksAndThreads) {
  std::mt19937 random(7);
  const std::uint64_t seed = host_cuda::settings().seed;
  const Input x(random, Element::kBFloat16, 300, 264, 0, Values::kSpecials);
  for (host_cuda::settings().seed = 100; host_cuda::settings().seed < 104;
       ++host_cuda::settings().seed) {
    for (const Mix& mix : kMixes) {
      check_quantize(x, Format::kE4M3, true, mix);
    }
  }
  host_cuda::settings().seed = seed;
}

}  // namespace
}  // namespace float8::kernels::testing
