// What each leaf operator returns, without data: for torch.compile, fake tensors and the meta
// device.

#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "src/ops/check.h"

namespace float8::ops {
namespace {

at::Tensor empty(const at::Tensor& like, c10::SymInt rows, c10::SymInt columns,
                 at::ScalarType dtype) {
  return at::empty_symint({std::move(rows), std::move(columns)}, like.options().dtype(dtype));
}

at::Tensor amax(const at::Tensor& x, at::IntArrayRef block) {
  check_high_precision("amax", x);
  const Block kind = check_block("amax", block, kAmaxBlocks);
  return empty(x, kind == kRowBlock ? x.sym_size(0) : c10::SymInt(1),
               kind == kColumnBlock ? x.sym_size(1) : c10::SymInt(1), x.scalar_type());
}

at::Tensor amax_to_scale(const at::Tensor& amax, at::ScalarType dtype, bool /*power_of_two*/) {
  check_amax("amax_to_scale", amax, dtype);
  return at::empty_symint(amax.sym_sizes(), amax.options().dtype(at::kFloat));
}

at::Tensor data_of(const at::Tensor& x, at::ScalarType dtype, bool transpose) {
  return empty(x, x.sym_size(transpose ? 1 : 0), padded(x.sym_size(transpose ? 0 : 1)), dtype);
}

at::Tensor cast(const at::Tensor& x, const at::Tensor& scale, at::ScalarType dtype,
                bool transpose) {
  check_high_precision("cast", x);
  check_format("cast", dtype);
  check_scale("cast", scale, x);
  return data_of(x, dtype, transpose);
}

using Quantized = std::tuple<at::Tensor, at::Tensor>;

Quantized quantized(const char* op, const at::Tensor& x, at::ScalarType dtype,
                    at::IntArrayRef block, bool transpose) {
  check_high_precision(op, x);
  check_format(op, dtype);
  at::Tensor data = data_of(x, dtype, transpose);
  const bool rowwise = check_block(op, block, kOperandBlocks) == kRowBlock;
  at::Tensor scale_inv = empty(x, rowwise ? data.sym_size(0) : c10::SymInt(1), 1, at::kFloat);
  return {data, scale_inv};
}

Quantized quantize(const at::Tensor& x, at::ScalarType dtype, at::IntArrayRef block,
                   bool /*power_of_two*/, bool transpose,
                   const std::optional<at::Tensor>& /*after*/,
                   const std::optional<at::Tensor>& amax) {
  const Block kind = check_block("quantize", block, kOperandBlocks);
  check_known_amax("quantize", amax, x, kind);
  return quantized("quantize", x, dtype, block, transpose);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> quantize_pair(
    const at::Tensor& x, at::ScalarType dtype, at::IntArrayRef block, at::IntArrayRef block_t,
    bool /*power_of_two*/, const std::optional<at::Tensor>& amax) {
  const Block kinds[] = {check_block("quantize_pair", block, kOperandBlocks),
                         check_block("quantize_pair", block_t, kOperandBlocks)};
  check_known_amax("quantize_pair", amax, x, kinds);
  return std::tuple_cat(quantized("quantize_pair", x, dtype, block, false),
                        quantized("quantize_pair", x, dtype, block_t, true));
}

at::Tensor transpose(const at::Tensor& data) {
  check_fp8("transpose", "data", data);
  return data_of(data, data.scalar_type(), true);
}

at::Tensor dequantize(const at::Tensor& data, const at::Tensor& scale_inv, at::ScalarType dtype) {
  check_fp8("dequantize", "data", data);
  check_scale("dequantize", scale_inv, data);
  check_result_dtype("dequantize", dtype);
  return empty(data, data.sym_size(0), data.sym_size(1), dtype);
}

at::Tensor cast_error(const at::Tensor& x, const at::Tensor& scale, at::ScalarType dtype) {
  check_high_precision("cast_error", x);
  check_format("cast_error", dtype);
  check_scale("cast_error", scale, x);
  return at::empty({kCastErrors}, x.options().dtype(at::kDouble));
}

at::Tensor scaled_mm(const at::Tensor& a, const at::Tensor& b, const at::Tensor& scale_inv_a,
                     const at::Tensor& scale_inv_b, const std::optional<at::Tensor>& bias,
                     at::ScalarType out_dtype, bool /*use_fast_accum*/, bool /*emulate*/) {
  check_scaled_mm(a, b, scale_inv_a, scale_inv_b, bias, out_dtype);
  return empty(a, a.sym_size(0), b.sym_size(0), out_dtype);
}

void scaled_mm_add_(const at::Tensor& accumulator, const at::Tensor& a, const at::Tensor& b,
                    const at::Tensor& scale_inv_a, const at::Tensor& scale_inv_b,
                    bool /*use_fast_accum*/, bool /*emulate*/) {
  check_scaled_mm_add(accumulator, a, b, scale_inv_a, scale_inv_b);
}

}  // namespace

TORCH_LIBRARY_IMPL(float8, Meta, m) {
  m.impl("amax", &amax);
  m.impl("amax_to_scale", &amax_to_scale);
  m.impl("cast", &cast);
  m.impl("quantize", &quantize);
  m.impl("quantize_pair", &quantize_pair);
  m.impl("transpose", &transpose);
  m.impl("dequantize", &dequantize);
  m.impl("cast_error", &cast_error);
  m.impl("scaled_mm", &scaled_mm);
  m.impl("scaled_mm_add_", &scaled_mm_add_);
}

}  // namespace float8::ops
