#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "src/ops/check.h"
#include "src/ops/cpu/tensors.h"

namespace float8::cpu {
namespace {

// An FP8 copy in the making: the block of its scales, in its own layout, and its place.
struct Copy {
  Block block;
  bool transpose;
};

// What the copies' scales need: in one pass over x, or none where the amax is given.
Amax amax_of(const at::Tensor& x, const std::optional<at::Tensor>& known, bool tensor, bool rows,
             bool columns) {
  if (known) {
    return {known->to(at::kFloat, /*non_blocking=*/false, /*copy=*/true), {}, {}};
  }
  return reduce_amax(x, tensor, rows, columns);
}

// The scale of a copy, in the layout of x: rows of a transposed copy are columns of x.
at::Tensor scale_of(const Copy& copy, const Amax& amax, Format format, bool power_of_two) {
  at::Tensor scale = copy.block == kTensorBlock ? amax.tensor
                     : copy.transpose           ? amax.columns
                                                : amax.rows;
  amax_to_scale_(scale, format, power_of_two);
  return scale;
}

at::Tensor allocate(const at::Tensor& x, const Copy& copy, Format format) {
  const std::int64_t rows = x.size(copy.transpose ? 1 : 0);
  const std::int64_t columns = x.size(copy.transpose ? 0 : 1);
  return at::empty({rows, ops::padded(columns)}, x.options().dtype(scalar_type_of(format)));
}

at::Tensor scale_inv_of(const at::Tensor& scale) {
  at::Tensor result = at::empty({scale.numel(), 1}, scale.options());
  const auto* in = scale.const_data_ptr<float>();
  auto* out = result.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < scale.numel(); ++i) {
    out[i] = 1.0F / in[i];
  }
  return result;
}

std::tuple<at::Tensor, at::Tensor> quantize(const at::Tensor& x_any, at::ScalarType dtype,
                                            at::IntArrayRef block_any, bool power_of_two,
                                            bool transpose,
                                            const std::optional<at::Tensor>& /*after*/,
                                            const std::optional<at::Tensor>& known_amax) {
  ops::check_high_precision("quantize", x_any);
  const Format format = ops::check_format("quantize", dtype);
  const Copy copy = {ops::check_block("quantize", block_any, ops::kOperandBlocks), transpose};
  ops::check_known_amax("quantize", known_amax, x_any, copy.block);
  const at::Tensor x = x_any.contiguous();
  at::Tensor data = allocate(x, copy, format);
  if (copy.block == kRowBlock && !transpose) {
    return {data, scale_inv_of(quantize_rows(x, data, format, power_of_two))};
  }
  const bool tensor = copy.block == kTensorBlock;
  const Amax amax = amax_of(x, known_amax, tensor, /*rows=*/false, /*columns=*/!tensor);
  const at::Tensor scale = scale_of(copy, amax, format, power_of_two);
  const CastTarget target = {data, scale, /*from_amax=*/true};
  cast_layouts(x, transpose ? CastTarget{} : target, transpose ? target : CastTarget{});
  return {data, scale_inv_of(scale)};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> quantize_pair(
    const at::Tensor& x_any, at::ScalarType dtype, at::IntArrayRef block_any,
    at::IntArrayRef block_t_any, bool power_of_two, const std::optional<at::Tensor>& known_amax) {
  ops::check_high_precision("quantize_pair", x_any);
  const Format format = ops::check_format("quantize_pair", dtype);
  const Copy copy = {ops::check_block("quantize_pair", block_any, ops::kOperandBlocks), false};
  const Copy copy_t = {ops::check_block("quantize_pair", block_t_any, ops::kOperandBlocks), true};
  ops::check_known_amax("quantize_pair", known_amax, x_any, {copy.block, copy_t.block});
  const at::Tensor x = x_any.contiguous();
  at::Tensor data = allocate(x, copy, format);
  at::Tensor data_t = allocate(x, copy_t, format);
  if (copy.block == kRowBlock && copy_t.block == kRowBlock) {
    at::Tensor scale_t;  // amax at first
    const at::Tensor scale = quantize_rows(x, data, format, power_of_two, &scale_t);
    amax_to_scale_(scale_t, format, power_of_two);
    cast_layouts(x, {}, {data_t, scale_t, /*from_amax=*/true});
    return {data, scale_inv_of(scale), data_t, scale_inv_of(scale_t)};
  }
  const Amax amax =
      amax_of(x, known_amax, copy.block == kTensorBlock || copy_t.block == kTensorBlock,
              copy.block == kRowBlock, copy_t.block == kRowBlock);
  const at::Tensor scale = scale_of(copy, amax, format, power_of_two);
  const at::Tensor scale_t = copy.block == kTensorBlock && copy_t.block == kTensorBlock
                                 ? scale
                                 : scale_of(copy_t, amax, format, power_of_two);
  cast_layouts(x, {data, scale, /*from_amax=*/true}, {data_t, scale_t, /*from_amax=*/true});
  return {data, scale_inv_of(scale), data_t, scale_inv_of(scale_t)};
}

}  // namespace

TORCH_LIBRARY_IMPL(float8, CPU, m) {
  m.impl("quantize", &quantize);
  m.impl("quantize_pair", &quantize_pair);
}

}  // namespace float8::cpu
