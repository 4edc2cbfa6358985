#include "tests/cpp/kernels/quantize_check.h"

// Shapes that make blocks take several tiles, strips or chunks, and the number of launches.
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
      const Input x(random, element, 5, columns / (element == Element::kFloat32 ? 2 : 1));
      EXPECT_EQ(check_quantize(x, Format::kE4M3, true, kMixes[1]), 1);
    }
  }
}

TEST(QuantizeLaunches, RowsThatNoBlockHolds) {
  std::mt19937 random(3);
  for (const std::int64_t columns : {32776, 150000, 32769}) {
    const Input x(random, Element::kBFloat16, 5, columns, 0, Values::kSpecials);
    EXPECT_EQ(check_quantize(x, Format::kE4M3, true, kMixes[1]), 2);
    EXPECT_EQ(check_quantize(x, Format::kE4M3, true, kMixes[7]), 2);
  }
  const Input x(random, Element::kFloat32, 3, 16400);
  EXPECT_EQ(check_quantize(x, Format::kE5M2, false, kMixes[1]), 2);
  EXPECT_EQ(check_quantize(x, Format::kE5M2, false, kMixes[5]), 2);
}

// 1101 tiles below each other: a block takes three.
TEST(QuantizeLaunches, BlocksTakeSeveralTiles) {
  std::mt19937 random(4);
  const std::int64_t rows = 1100 * 128 + 5;
  const Input x(random, Element::kBFloat16, rows, 8, 0, Values::kSpecials);
  check_quantize(x, Format::kE4M3, false, kMixes[4]);
  const Input narrow(random, Element::kFloat32, rows, 3);
  check_quantize(narrow, Format::kE5M2, true, kMixes[5]);
  check_quantize(narrow, Format::kE5M2, true, kMixes[6]);
}

// More rows than 132 blocks have room for in shared memory.
TEST(QuantizeLaunches, MoreRowsThanSharedMemoryOfUsualBlocks) {
  std::mt19937 random(5);
  const Input x(random, Element::kBFloat16, 272000, 1);
  EXPECT_EQ(check_quantize(x, Format::kE4M3, true, kMixes[7]), 2);
}

TEST(QuantizeLaunches, ManyColumnsInStrips) {
  std::mt19937 random(6);
  for (const std::int64_t columns : {300 * 256, 70001}) {
    const Input x(random, Element::kFloat16, 9, columns);
    check_quantize(x, Format::kE4M3, true, kMixes[3]);
  }
}

TEST(QuantizeLaunches, AnyOrderOfBlocksAndThreads) {
  std::mt19937 random(7);
  const std::uint64_t seed = host_cuda::settings().seed;
  const Input x(random, Element::kBFloat16, 700, 264, 0, Values::kSpecials);
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
