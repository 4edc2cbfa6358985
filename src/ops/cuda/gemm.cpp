#include "src/ops/cuda/gemm.h"

#include <ATen/Context.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>

#include "kernels/gemm/gemm.h"
#include "kernels/gemm/scale_product.h"
#include "src/ops/check.h"

namespace float8::cuda {
namespace {

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
  at::Tensor out = device.empty({m, n}, dtype);
  check_launch("scaled_mm", kernels::launch_scale_product(
                                product.const_data_ptr<float>(), scale_a.const_data_ptr<float>(),
                                scale_b.const_data_ptr<float>(),
                                bias.defined() ? bias.const_data_ptr() : nullptr, m, n,
                                out.mutable_data_ptr(), element_of(dtype), device.stream()));
  return out;
}

}  // namespace

// GEMMs do not mix the two kinds of scales: the single one is repeated.
at::Tensor as_rows(const at::Tensor& scale, std::int64_t rows) {
  return scale.size(0) == rows ? scale.contiguous() : scale.expand({rows, 1}).contiguous();
}

Operands::Operands(const at::Tensor& a_any, const at::Tensor& b_any, const at::Tensor& scale_a_any,
                   const at::Tensor& scale_b_any)
    : a(aligned(a_any)),
      b(aligned(b_any)),
      outer(scale_a_any.size(0) > 1 || scale_b_any.size(0) > 1) {
  scale_a = outer ? as_rows(scale_a_any, a.size(0)) : scale_a_any.contiguous();
  scale_b = outer ? as_rows(scale_b_any, b.size(0)) : scale_b_any.contiguous();
}

bool runs_directly(const Device& device, const Operands& operands) {
  constexpr int kHopper = 90;
  return operands.b.size(0) % ops::kInnerAlignment == 0 &&
         (!operands.outer || device.compute_capability() == kHopper);
}

// out = A B^T by cuBLASLt, or out += A B^T. N is a multiple of 16.
bool multiply_into(const Device& device, const at::Tensor& out, bool accumulate,
                   const Operands& operands, const at::Tensor& bias, bool fast_accumulation) {
  const at::Tensor& a = operands.a;
  const at::Tensor& b = operands.b;
  const void* bias_data = bias.defined() ? bias.const_data_ptr() : nullptr;
  kernels::GemmProblem problem = {
      .m = a.size(0),
      .n = b.size(0),
      .k = a.size(1),
      .a = data_type_of(a.scalar_type()),
      .b = data_type_of(b.scalar_type()),
      .d = data_type_of(out.scalar_type()),
      .scales = operands.outer ? kernels::ScaleMode::kOuter : kernels::ScaleMode::kTensor,
      .bias = bias.defined(),
      .accumulate = accumulate,
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
  const std::string error =
      kernels::run_gemm(device.blas(), problem,
                        {.a = a.const_data_ptr(),
                         .b = b.const_data_ptr(),
                         .d = out.mutable_data_ptr(),
                         .scale_inv_a = operands.scale_a.const_data_ptr<float>(),
                         .scale_inv_b = operands.scale_b.const_data_ptr<float>(),
                         .bias = bias_data,
                         .workspace = device.workspace(),
                         .stream = device.stream()});
  for (const std::string& note : kernels::take_gemm_notes()) {
    TORCH_WARN("[scaled_mm] choosing an algorithm: ", note);
  }
  if (!error.empty() && operands.outer && kernels::gemm_refuses(problem)) {
    return false;
  }
  TORCH_CHECK(error.empty(), error);
  return true;
}

at::Tensor multiply(const Device& device, const Operands& operands, const at::Tensor& bias,
                    at::ScalarType dtype, bool fast_accumulation) {
  const std::int64_t n = operands.b.size(0);
  const std::int64_t missing = ops::padded(n) - n;
  if (missing > 0) {  // rows of zeros after B
    TORCH_WARN_ONCE("[scaled_mm] FP8 GEMMs need N to be a multiple of ", ops::kInnerAlignment,
                    ", got B=", operands.b.sizes(),
                    ": it is padded in each call, which is slower; leave such layers in high "
                    "precision, or pad the weight once");
    Operands whole = operands;
    whole.b = at::constant_pad_nd(whole.b.view(at::kByte), {0, 0, 0, missing})
                  .view(operands.b.scalar_type());
    if (whole.outer) {
      whole.scale_b = at::constant_pad_nd(whole.scale_b, {0, 0, 0, missing});
    }
    const at::Tensor whole_bias =
        bias.defined() ? at::constant_pad_nd(bias, {0, missing}) : at::Tensor();
    return multiply(device, whole, whole_bias, dtype, fast_accumulation)
        .narrow(1, 0, n)
        .contiguous();
  }
  if (runs_directly(device, operands)) {
    at::Tensor out = device.empty({operands.a.size(0), n}, dtype);
    const bool fused = dtype != at::kFloat;  // the epilogue has no bias of float32
    if (multiply_into(device, out, /*accumulate=*/false, operands, fused ? bias : at::Tensor(),
                      fast_accumulation)) {
      return bias.defined() && !fused ? out.add_(bias) : out;
    }
  }
  TORCH_WARN_ONCE("[scaled_mm] cuBLASLt has no FP8 GEMM with scales for rows on ",
                  operands.a.device(), " (compute capability ", device.compute_capability() / 10,
                  ".", device.compute_capability() % 10,
                  "): they are applied in a pass of their own, which is slower; the tensorwise "
                  "recipe needs none");
  Operands unscaled = operands;
  unscaled.scale_a = unscaled.scale_b = at::ones({1, 1}, operands.scale_a.options());
  unscaled.outer = false;
  const at::Tensor product = device.empty({operands.a.size(0), n}, at::kFloat);
  multiply_into(device, product, /*accumulate=*/false, unscaled, {}, fast_accumulation);
  return scaled(device, product, operands, bias, dtype);
}

// Products of FP8 values are exact in float32; in TF32 their sums are not.
at::Tensor multiply_float32(const Device& device, const Operands& operands, const at::Tensor& bias,
                            at::ScalarType dtype) {
  const at::NoTF32Guard no_tf32;
  const at::Tensor product =
      at::mm(operands.a.to(at::kFloat), operands.b.to(at::kFloat).t()).contiguous();
  return scaled(device, product, operands, bias, dtype);
}

}  // namespace float8::cuda
