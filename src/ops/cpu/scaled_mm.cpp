#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <atomic>

#include "float8/cpu_gemm.h"
#include "src/ops/check.h"
#include "src/ops/cpu/gemm.h"
#include "src/ops/cpu/tensors.h"

namespace float8::cpu {
namespace {

Operand operand(const at::Tensor& data) {
  const Format format = ops::check_format("scaled_mm", data.scalar_type());
  return {const_bytes_of(data), data.size(0), data.size(1), format};
}

// Scales a row of the product, rounds it to the result's dtype and adds the bias.
class Epilogue final : public RowSink {
 public:
  Epilogue(const at::Tensor& out, const at::Tensor& scale_inv_a, const at::Tensor& scale_inv_b,
           const at::Tensor& bias)
      : out_(static_cast<std::byte*>(out.data_ptr())),
        element_size_(out.element_size()),
        columns_(out.size(1)),
        scale_a_(row_scale(scale_inv_a)),
        scale_b_(row_scale(scale_inv_b)),
        bias_(bias.defined() ? static_cast<const std::byte*>(bias.const_data_ptr()) : nullptr),
        store_(loops().store[index_of(element_of(out.scalar_type()))]) {}

  void store(std::int64_t row, std::int64_t column, std::int64_t n, const float* acc) override {
    store_(acc, n, scale_a_[row], scale_b_.data + column * scale_b_.stride, scale_b_.stride,
           bias_ == nullptr ? nullptr : bias_ + column * element_size_,
           out_ + (row * columns_ + column) * element_size_);
  }

 private:
  std::byte* out_;
  std::int64_t element_size_;
  std::int64_t columns_;
  ScaleView scale_a_;
  ScaleView scale_b_;
  const std::byte* bias_;
  Loops::Store store_;
};

std::atomic<CpuGemm> gemm_in_use = CpuGemm::kFloat32;

// use_fast_accum and emulate speak of tensor cores: only their model (cpu_gemm.h) heeds the first.
at::Tensor scaled_mm(const at::Tensor& a_any, const at::Tensor& b_any,
                     const at::Tensor& scale_inv_a, const at::Tensor& scale_inv_b,
                     const std::optional<at::Tensor>& bias_any, at::ScalarType out_dtype,
                     bool use_fast_accum, bool /*emulate*/) {
  ops::check_scaled_mm(a_any, b_any, scale_inv_a, scale_inv_b, bias_any, out_dtype);
  const at::Tensor a = a_any.contiguous();
  const at::Tensor b = b_any.contiguous();
  at::Tensor out = at::empty({a.size(0), b.size(0)}, a.options().dtype(out_dtype));
  if (out.numel() == 0) {
    return out;
  }
  const at::Tensor scale_a = scale_inv_a.contiguous();
  const at::Tensor scale_b = scale_inv_b.contiguous();
  const at::Tensor bias = bias_any.has_value() ? bias_any->contiguous() : at::Tensor();
  Epilogue epilogue(out, scale_a, scale_b, bias);
  if (cpu_gemm() == CpuGemm::kTensorCore) {
    gemm_tensor_core(operand(a), operand(b), use_fast_accum, epilogue);
  } else {
    gemm(operand(a), operand(b), epilogue);
  }
  return out;
}

void scaled_mm_add_(const at::Tensor& accumulator, const at::Tensor& a, const at::Tensor& b,
                    const at::Tensor& scale_inv_a, const at::Tensor& scale_inv_b,
                    bool use_fast_accum, bool emulate) {
  ops::check_scaled_mm_add(accumulator, a, b, scale_inv_a, scale_inv_b);
  accumulator.add_(
      scaled_mm(a, b, scale_inv_a, scale_inv_b, std::nullopt, at::kFloat, use_fast_accum, emulate));
}

}  // namespace

TORCH_LIBRARY_IMPL(float8, CPU, m) {
  m.impl("scaled_mm", &scaled_mm);
  m.impl("scaled_mm_add_", &scaled_mm_add_);
}

}  // namespace float8::cpu

namespace float8 {

void set_cpu_gemm(CpuGemm gemm) { cpu::gemm_in_use = gemm; }

CpuGemm cpu_gemm() { return cpu::gemm_in_use; }

}  // namespace float8
