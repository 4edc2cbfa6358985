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

struct Quantized {
  at::Tensor data;
  at::Tensor scale_inv;
};

// The scale of a copy, in the layout of x: rows of a transposed copy are columns of x.
at::Tensor scale_of(const Copy& copy, const Amax& amax, Format format, bool power_of_two) {
  at::Tensor scale = copy.block == kTensorBlock ? amax.tensor
                     : copy.transpose           ? amax.columns
                                                : amax.rows;
  amax_to_scale_(scale, format, power_of_two);
  return scale;
}

Quantized allocate(const at::Tensor& x, const Copy& copy, const at::Tensor& scale, Format format) {
  const std::int64_t rows = x.size(copy.transpose ? 1 : 0);
  const std::int64_t columns = x.size(copy.transpose ? 0 : 1);
  return {
      at::empty({rows, ops::padded(columns)}, x.options().dtype(scalar_type_of(format))),
      scale.reciprocal().view({scale.numel(), 1})};
}

std::tuple<at::Tensor, at::Tensor> quantize(
    const at::Tensor& x_any, at::ScalarType dtype, at::IntArrayRef block_any, bool power_of_two,
    bool transpose, const std::optional<at::Tensor>& /*after*/) {
  ops::check_high_precision("quantize", x_any);
  const Format format = ops::check_format("quantize", dtype);
  const Copy copy = {ops::check_block("quantize", block_any, ops::kOperandBlocks), transpose};
  const at::Tensor x = x_any.contiguous();
  const bool rowwise = copy.block == kRowBlock;
  const Amax amax = reduce_amax(x, !rowwise, rowwise && !transpose, rowwise && transpose);
  const at::Tensor scale = scale_of(copy, amax, format, power_of_two);
  const Quantized result = allocate(x, copy, scale, format);
  const CastTarget target = {result.data, scale};
  cast_layouts(x, transpose ? CastTarget{} : target, transpose ? target : CastTarget{});
  return {result.data, result.scale_inv};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> quantize_pair(
    const at::Tensor& x_any, at::ScalarType dtype, at::IntArrayRef block_any,
    at::IntArrayRef block_t_any, bool power_of_two) {
  ops::check_high_precision("quantize_pair", x_any);
  const Format format = ops::check_format("quantize_pair", dtype);
  const Copy copy = {ops::check_block("quantize_pair", block_any, ops::kOperandBlocks), false};
  const Copy copy_t = {ops::check_block("quantize_pair", block_t_any, ops::kOperandBlocks), true};
  const at::Tensor x = x_any.contiguous();
  const Amax amax = reduce_amax(
      x, copy.block == kTensorBlock || copy_t.block == kTensorBlock, copy.block == kRowBlock,
      copy_t.block == kRowBlock);
  const at::Tensor scale = scale_of(copy, amax, format, power_of_two);
  const at::Tensor scale_t =
      copy.block == kTensorBlock && copy_t.block == kTensorBlock
          ? scale
          : scale_of(copy_t, amax, format, power_of_two);
  const Quantized straight = allocate(x, copy, scale, format);
  const Quantized transposed = allocate(x, copy_t, scale_t, format);
  cast_layouts(x, {straight.data, scale}, {transposed.data, scale_t});
  return {straight.data, straight.scale_inv, transposed.data, transposed.scale_inv};
}

}  // namespace

TORCH_LIBRARY_IMPL(float8, CPU, m) {
  m.impl("quantize", &quantize);
  m.impl("quantize_pair", &quantize_pair);
}

}  // namespace float8::cpu
