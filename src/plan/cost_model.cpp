#include "src/plan/cost_model.h"

#include <array>
#include <cstddef>
#include <vector>

namespace float8 {
namespace {

constexpr double kHighPrecisionBytes = 2;  // bf16
constexpr double kFp8Bytes = 1;

/// The part of one tensor in one product: that product's blocks, and the index of this operand's.
struct Use {
  const std::vector<std::int64_t>& blocks;
  std::size_t operand;  // 0: A, 2: B

  [[nodiscard]] bool fp8() const { return !blocks.empty(); }
  [[nodiscard]] bool rowwise() const { return fp8() && blocks[operand] != 0; }
};

double cast_seconds(double elements, const std::array<Use, 2>& uses, const GpuModel& gpu) {
  double products = 0;
  double amaxes = 0;
  bool tensorwise = false;
  for (const Use& use : uses) {
    products += use.fp8() ? 1 : 0;
    amaxes += use.rowwise() ? 1 : 0;
    tensorwise = tensorwise || (use.fp8() && !use.rowwise());
  }
  if (products == 0) {
    return 0;
  }
  amaxes += tensorwise ? 1 : 0;
  const double bytes = elements * (kHighPrecisionBytes * (amaxes + 1) + kFp8Bytes * products);
  return bytes / gpu.bandwidth + gpu.seconds_per_cast;
}

}  // namespace

double predicted_speedup(std::int64_t in_features, std::int64_t out_features,
                         const LinearRecipe& recipe, const GpuModel& gpu) {
  const auto m = static_cast<double>(gpu.tokens);
  const auto k = static_cast<double>(in_features);
  const auto n = static_cast<double>(out_features);
  const double product_flops = 2 * m * n * k;
  const Use input{recipe.output_blocks, 0};
  const Use weight{recipe.output_blocks, 2};
  const Use grad_output_gi{recipe.grad_input_blocks, 0};
  const Use weight_gi{recipe.grad_input_blocks, 2};
  const Use grad_output_gw{recipe.grad_weight_blocks, 0};
  const Use input_gw{recipe.grad_weight_blocks, 2};

  double fp8_seconds = cast_seconds(m * k, {input, input_gw}, gpu) +
                       cast_seconds(n * k, {weight, weight_gi}, gpu) +
                       cast_seconds(m * n, {grad_output_gi, grad_output_gw}, gpu);
  for (const Use& use : {input, grad_output_gi, grad_output_gw}) {
    fp8_seconds += product_flops / (use.fp8() ? gpu.fp8_flops : gpu.bf16_flops);
  }
  return 3 * product_flops / gpu.bf16_flops / fp8_seconds;
}

}  // namespace float8
