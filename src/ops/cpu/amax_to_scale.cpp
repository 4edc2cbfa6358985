#include <ATen/Parallel.h>
#include <torch/library.h>

#include "float8/scaling.h"
#include "src/ops/check.h"
#include "src/ops/cpu/tensors.h"

namespace float8::cpu {
namespace {

at::Tensor amax_to_scale(const at::Tensor& amax, at::ScalarType dtype, bool power_of_two) {
  const Format format = ops::check_amax("amax_to_scale", amax, dtype);
  at::Tensor scale = amax.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true).contiguous();
  amax_to_scale_(scale, format, power_of_two);
  return scale;
}

}  // namespace

void amax_to_scale_(at::Tensor& amax, Format format, bool power_of_two) {
  auto* values = amax.mutable_data_ptr<float>();
  at::parallel_for(0, amax.numel(), kGrainElements, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      values[i] = float8::amax_to_scale(values[i], format, power_of_two);
    }
  });
}

TORCH_LIBRARY_IMPL(float8, CPU, m) { m.impl("amax_to_scale", &amax_to_scale); }

}  // namespace float8::cpu
