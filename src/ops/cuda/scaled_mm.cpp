#include <ATen/ops/zeros.h>

#include "src/ops/check.h"
#include "src/ops/cuda/gemm.h"
#include "src/ops/cuda/operators.h"

namespace float8::cuda {
namespace {

void check_device(const char* op, const Device& device, const at::Tensor& operand) {
  constexpr int kFirstWithFp8 = 89;
  const int capability = device.compute_capability();
  TORCH_CHECK(capability >= kFirstWithFp8, "[", op,
              "] FP8 needs a GPU of compute capability 8.9 or later, got ", capability / 10, ".",
              capability % 10, " (", operand.device(),
              "); set emulate to run the same casts and a float32 product there "
              "(Float8LinearConfig(emulate=True), or `emulate: true` under fp8 in YAML)");
}

}  // namespace

at::Tensor scaled_mm(const at::Tensor& a, const at::Tensor& b, const at::Tensor& scale_inv_a,
                     const at::Tensor& scale_inv_b, const std::optional<at::Tensor>& bias_any,
                     at::ScalarType out_dtype, bool use_fast_accum, bool emulate) {
  ops::check_scaled_mm(a, b, scale_inv_a, scale_inv_b, bias_any, out_dtype);
  const Device device(a);
  const at::Tensor bias = bias_any.has_value() ? aligned(*bias_any) : at::Tensor();
  if (a.numel() == 0 || b.numel() == 0) {
    const at::Tensor out = at::zeros({a.size(0), b.size(0)}, a.options().dtype(out_dtype));
    return bias.defined() ? out.add(bias) : out;
  }
  const Operands operands(a, b, scale_inv_a, scale_inv_b);
  if (emulate) {
    return multiply_float32(device, operands, bias, out_dtype);
  }
  check_device("scaled_mm", device, a);
  return multiply(device, operands, bias, out_dtype, use_fast_accum);
}

void scaled_mm_add_(const at::Tensor& accumulator, const at::Tensor& a, const at::Tensor& b,
                    const at::Tensor& scale_inv_a, const at::Tensor& scale_inv_b,
                    bool use_fast_accum, bool emulate) {
  ops::check_scaled_mm_add(accumulator, a, b, scale_inv_a, scale_inv_b);
  const Device device(a);
  if (a.numel() == 0 || b.numel() == 0) {
    return;
  }
  const Operands operands(a, b, scale_inv_a, scale_inv_b);
  if (emulate) {
    accumulator.add_(multiply_float32(device, operands, {}, at::kFloat));
    return;
  }
  check_device("scaled_mm_add_", device, a);
  const bool done =
      runs_directly(device, operands) && is_aligned(accumulator) &&
      multiply_into(device, accumulator, /*accumulate=*/true, operands, {}, use_fast_accum);
  if (!done) {
    accumulator.add_(multiply(device, operands, {}, at::kFloat, use_fast_accum));
  }
}

}  // namespace float8::cuda
