#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <bit>
#include <mutex>

#include "src/ops/check.h"
#include "src/ops/cpu/column_maxima.h"
#include "src/ops/cpu/loops/convert.h"
#include "src/ops/cpu/tensors.h"

namespace float8::cpu {
namespace {

at::Tensor amax(const at::Tensor& x, at::IntArrayRef block) {
  ops::check_high_precision("amax", x);
  const Block kind = ops::check_block("amax", block, ops::kAmaxBlocks);
  const Amax result =
      reduce_amax(x.contiguous(), kind == kTensorBlock, kind == kRowBlock, kind == kColumnBlock);
  const at::Tensor& values = kind == kTensorBlock ? result.tensor
                             : kind == kRowBlock  ? result.rows
                                                  : result.columns;
  return values.to(x.scalar_type());
}

}  // namespace

float amax_value(Element element, std::uint32_t bits) {
  switch (element) {
    case Element::kFloat32:
      return std::bit_cast<float>(bits);
    case Element::kBFloat16:
      return BFloat16::to_float(static_cast<std::uint16_t>(bits));
    case Element::kFloat16:
      return Float16::to_float(static_cast<std::uint16_t>(bits));
  }
  return 0.0F;
}

Amax reduce_amax(const at::Tensor& x, bool tensor, bool rows, bool columns) {
  const std::int64_t m = x.size(0);
  const std::int64_t k = x.size(1);
  const Element element = element_of(x.scalar_type());
  const std::int64_t row_bytes = k * x.element_size();
  const auto* source = static_cast<const std::byte*>(x.const_data_ptr());
  const auto amax_loop = loops().amax[index_of(element)];
  const auto options = x.options().dtype(at::kFloat);

  Amax result;
  float* row_values = nullptr;
  if (rows) {
    result.rows = at::empty({m, 1}, options);
    row_values = result.rows.mutable_data_ptr<float>();
  }
  std::mutex mutex;
  std::uint32_t tensor_bits = 0;
  ColumnMaxima maxima(element, columns ? k : 0);

  at::parallel_for(0, m, grain(k), [&](std::int64_t begin, std::int64_t end) {
    std::uint32_t bits = 0;
    ColumnMaxima::Part part(maxima);
    for (std::int64_t first = begin; first < end; first += kAmaxRows) {
      const std::byte* data = source + first * row_bytes;
      const std::int64_t count = std::min(kAmaxRows, end - first);
      for (std::int64_t i = 0; i < count && (tensor || rows); ++i) {
        const std::uint32_t row_bits = amax_loop(data + i * row_bytes, k);
        bits = std::max(bits, row_bits);
        if (rows) {
          row_values[first + i] = amax_value(element, row_bits);
        }
      }
      if (columns) {
        part.add_rows(data, count);
      }
    }
    const std::lock_guard<std::mutex> lock(mutex);
    tensor_bits = std::max(tensor_bits, bits);
  });

  if (tensor) {
    result.tensor = at::empty({1, 1}, options);
    *result.tensor.mutable_data_ptr<float>() = amax_value(element, tensor_bits);
  }
  if (columns) {
    result.columns = maxima.values();
  }
  return result;
}

TORCH_LIBRARY_IMPL(float8, CPU, m) { m.impl("amax", &amax); }

}  // namespace float8::cpu
