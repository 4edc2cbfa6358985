#include <ATen/Context.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "kernels/gemm/gemm.h"
#include "kernels/gemm/scale_product.h"
#include "src/ops/check.h"
#include "src/ops/cuda/operators.h"
#include "src/ops/cuda/tensors.h"

namespace float8::cuda {
namespace {

// What the checked arguments are to a GEMM: contiguous operands, each with one scale or each with
// one scale for every row.
struct Operands {
  at::Tensor a;
  at::Tensor b;
  at::Tensor scale_a;
  at::Tensor scale_b;
  bool outer;
};

// GEMMs do not mix the two kinds of scales: the single one is repeated.
at::Tensor as_rows(const at::Tensor& scale, std::int64_t rows) {
  return scale.size(0) == rows ? scale.contiguous() : scale.expand({rows, 1}).contiguous();
}

Operands operands_of(const at::Tensor& a, const at::Tensor& b, const at::Tensor& scale_a,
                     const at::Tensor& scale_b) {
  const bool outer = scale_a.size(0) > 1 || scale_b.size(0) > 1;
  return {aligned(a), aligned(b),
          outer ? as_rows(scale_a, a.size(0)) : scale_a.contiguous(),
          outer ? as_rows(scale_b, b.size(0)) : scale_b.contiguous(), outer};
}

kernels::DataType data_type_of(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat8_e4m3fn:
      return kernels::DataType::kE4M3;
    case at::kFloat8_e5m2:
      return kernels::DataType::kE5M2;
    case at::kBFloat16:
      return kernels::DataType::kBFloat16;
    case at::kHalf:
      return kernels::DataType::kFloat16;
    default:
      TORCH_INTERNAL_ASSERT(dtype == at::kFloat);
      return kernels::DataType::kFloat32;
  }
}

// Scales and rounds a float32 product, and adds the bias: what the CPU's GEMM does at its end.
at::Tensor scaled(const Device& device, const at::Tensor& product, const Operands& operands,
                  const at::Tensor& bias, at::ScalarType dtype) {
  const std::int64_t m = product.size(0);
  const std::int64_t n = product.size(1);
  const at::Tensor scale_a = as_rows(operands.scale_a, m);
  const at::Tensor scale_b = as_rows(operands.scale_b, n);
  at::Tensor out = at::empty({m, n}, product.options().dtype(dtype));
  check_launch("scaled_mm", kernels::launch_scale_product(
                                product.const_data_ptr<float>(), scale_a.const_data_ptr<float>(),
                                scale_b.const_data_ptr<float>(),
                                bias.defined() ? bias.const_data_ptr() : nullptr, m, n,
                                out.mutable_data_ptr(), element_of(dtype), device.stream()));
  return out;
}

// D = A B^T by cuBLASLt. N is a multiple of 16.
at::Tensor multiply(const Device& device, const Operands& operands, const at::Tensor& scale_a,
                    const at::Tensor& scale_b, const at::Tensor& bias, at::ScalarType dtype,
                    kernels::ScaleMode scales, bool fast_accumulation) {
  const at::Tensor& a = operands.a;
  const at::Tensor& b = operands.b;
  at::Tensor out = at::empty({a.size(0), b.size(0)}, a.options().dtype(dtype));
  const void* bias_data = bias.defined() ? bias.const_data_ptr() : nullptr;
  kernels::GemmProblem problem = {
      .m = a.size(0),
      .n = b.size(0),
      .k = a.size(1),
      .a = data_type_of(a.scalar_type()),
      .b = data_type_of(b.scalar_type()),
      .d = data_type_of(dtype),
      .scales = scales,
      .bias = bias.defined(),
      .fast_accumulation = fast_accumulation,
      .alignment_a = kernels::alignment_of(a.const_data_ptr()),
      .alignment_b = kernels::alignment_of(b.const_data_ptr()),
      .alignment_d = kernels::alignment_of(out.const_data_ptr()),
      .workspace_bytes = device.workspace_bytes(),
      .device = device.index(),
      .compute_capability = device.compute_capability(),
  };
  if (bias_data != nullptr) {
    problem.alignment_bias = kernels::alignment_of(bias_data);
  }
  const std::string error = kernels::run_gemm(device.blas(), problem,
                                              {.a = a.const_data_ptr(),
                                               .b = b.const_data_ptr(),
                                               .d = out.mutable_data_ptr(),
                                               .scale_inv_a = scale_a.const_data_ptr<float>(),
                                               .scale_inv_b = scale_b.const_data_ptr<float>(),
                                               .bias = bias_data,
                                               .workspace = device.workspace(),
                                               .stream = device.stream()});
  TORCH_CHECK(error.empty(), error);
  return out;
}

// The GEMM on a GPU with FP8 tensor cores.
at::Tensor multiply_fp8(const Device& device, const Operands& operands, const at::Tensor& bias,
                        at::ScalarType dtype, bool fast_accumulation) {
  constexpr int kHopper = 90;
  if (operands.outer && device.compute_capability() != kHopper) {
    // Only Hopper's GEMMs take scales for rows: the product is scaled in a pass of its own.
    const at::Tensor one = at::ones({1, 1}, operands.scale_a.options());
    const at::Tensor product = multiply(device, operands, one, one, {}, at::kFloat,
                                        kernels::ScaleMode::kTensor, fast_accumulation);
    return scaled(device, product, operands, bias, dtype);
  }
  // The epilogue has no bias of float32.
  const bool fused = bias.defined() && dtype != at::kFloat;
  at::Tensor out = multiply(
      device, operands, operands.scale_a, operands.scale_b, fused ? bias : at::Tensor(), dtype,
      operands.outer ? kernels::ScaleMode::kOuter : kernels::ScaleMode::kTensor, fast_accumulation);
  return bias.defined() && !fused ? out.add_(bias) : out;
}

// Operands whose N is no multiple of 16, which the tensor cores want, with rows of zeros after B.
at::Tensor multiply_padded(const Device& device, Operands operands, const at::Tensor& bias,
                           at::ScalarType dtype, bool fast_accumulation) {
  const std::int64_t n = operands.b.size(0);
  const std::int64_t rows = ops::padded(n) - n;
  if (rows == 0) {
    return multiply_fp8(device, operands, bias, dtype, fast_accumulation);
  }
  const at::ScalarType format = operands.b.scalar_type();
  operands.b = at::constant_pad_nd(operands.b.view(at::kByte), {0, 0, 0, rows}).view(format);
  if (operands.outer) {
    operands.scale_b = at::constant_pad_nd(operands.scale_b, {0, 0, 0, rows});
  }
  const at::Tensor padded_bias =
      bias.defined() ? at::constant_pad_nd(bias, {0, rows}) : at::Tensor();
  return multiply_fp8(device, operands, padded_bias, dtype, fast_accumulation)
      .narrow(1, 0, n)
      .contiguous();
}

// In float32, for GPUs without FP8: products of FP8 values are exact in it, TF32 is not.
at::Tensor multiply_float32(const Device& device, const Operands& operands, const at::Tensor& bias,
                            at::ScalarType dtype) {
  const at::NoTF32Guard no_tf32;
  const at::Tensor product =
      at::mm(operands.a.to(at::kFloat), operands.b.to(at::kFloat).t()).contiguous();
  return scaled(device, product, operands, bias, dtype);
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
  const Operands operands = operands_of(a, b, scale_inv_a, scale_inv_b);
  if (emulate) {
    return multiply_float32(device, operands, bias, out_dtype);
  }
  constexpr int kFirstWithFp8 = 89;
  const int capability = device.compute_capability();
  TORCH_CHECK(capability >= kFirstWithFp8,
              "[scaled_mm] FP8 needs a GPU of compute capability 8.9 or later, got ",
              capability / 10, ".", capability % 10, " (", a.device(),
              "); set emulate to run the same casts and a float32 product there "
              "(Float8LinearConfig(emulate=True), or `emulate: true` under fp8 in YAML)");
  return multiply_padded(device, operands, bias, out_dtype, use_fast_accum);
}

}  // namespace float8::cuda
