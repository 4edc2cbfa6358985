#include "src/plan/cost_model.h"

#include <gtest/gtest.h>

namespace float8 {
namespace {

double speedup(std::int64_t k, std::int64_t n, std::string_view recipe, const GpuModel& gpu = {}) {
  return predicted_speedup(k, n, make_recipe(Float8LinearConfig::from_recipe_name(recipe)), gpu);
}

TEST(CostModel, IsTheFormulaForTensorwise) {
  const GpuModel gpu{
      .bf16_flops = 1, .fp8_flops = 2, .bandwidth = 4, .seconds_per_cast = 3, .tokens = 100};
  // Three products of 2 * 100 * 20 * 10 = 40000. Casts: 6 bytes for each of 1000 + 200 + 2000
  // elements (twice 2 read, twice 1 written), 3 s for each of three tensors.
  const double fp8 = 3 * 40000.0 / 2 + 3200 * 6 / 4.0 + 9;
  EXPECT_DOUBLE_EQ(speedup(10, 20, "tensorwise", gpu), 3 * 40000.0 / fp8);
}

TEST(CostModel, GrowsWithTheLayerUpToTheRatioOfThePeaks) {
  const GpuModel gpu;
  double before = 0;
  for (std::int64_t size = 256; size <= 65536; size *= 2) {
    const double now = speedup(size, size, "tensorwise");
    EXPECT_GT(now, before);
    before = now;
  }
  EXPECT_LT(before, gpu.fp8_flops / gpu.bf16_flops);
  EXPECT_GT(before, 0.9 * gpu.fp8_flops / gpu.bf16_flops);
}

TEST(CostModel, RowwiseCastsCostMore) {
  EXPECT_LT(speedup(4096, 4096, "rowwise"), speedup(4096, 4096, "tensorwise"));
}

TEST(CostModel, AProductInHighPrecisionGainsNothing) {
  const GpuModel gpu{.tokens = 1 << 20};  // many, so that the weight's cast costs nothing
  const double most = 3 / (2 * gpu.bf16_flops / gpu.fp8_flops + 1);
  EXPECT_LT(speedup(1 << 20, 1 << 20, "rowwise_with_gw_hp", gpu), most);
  EXPECT_GT(speedup(1 << 20, 1 << 20, "rowwise_with_gw_hp", gpu), 0.99 * most);
}

}  // namespace
}  // namespace float8
