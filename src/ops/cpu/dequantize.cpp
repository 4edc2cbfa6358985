#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>

#include "src/ops/check.h"
#include "src/ops/cpu/tensors.h"

namespace float8::cpu {
namespace {

constexpr std::int64_t kChunk = 1024;

at::Tensor dequantize(const at::Tensor& data_any, const at::Tensor& scale_any,
                      at::ScalarType dtype) {
  ops::check_fp8("dequantize", "data", data_any);
  ops::check_scale("dequantize", scale_any, data_any);
  ops::check_result_dtype("dequantize", dtype);
  const at::Tensor data = data_any.contiguous();
  const at::Tensor scale = scale_any.contiguous();
  const std::int64_t k = data.size(1);
  at::Tensor result = at::empty(data.sizes(), data.options().dtype(dtype));
  const Format format = ops::check_format("dequantize", data.scalar_type());
  const auto decode = loops().decode_float[index_of(format)];
  const auto store = loops().store[index_of(element_of(dtype))];
  const ScaleView rows = row_scale(scale);
  const ScaleView columns = column_scale(scale);
  constexpr float kOne = 1.0F;
  const std::uint8_t* in = const_bytes_of(data);
  auto* out = static_cast<std::byte*>(result.mutable_data_ptr());
  at::parallel_for(0, data.size(0), grain(k), [&](std::int64_t begin, std::int64_t end) {
    float values[kChunk];
    for (std::int64_t r = begin; r < end; ++r) {
      for (std::int64_t c = 0; c < k; c += kChunk) {
        const std::int64_t n = std::min(kChunk, k - c);
        const bool by_column = columns.stride != 0;
        decode(in + r * k + c, n, values);
        store(values, n, by_column ? kOne : rows[r], by_column ? columns.data + c : &kOne,
              columns.stride, nullptr, out + (r * k + c) * result.element_size());
      }
    }
  });
  return result;
}

}  // namespace

TORCH_LIBRARY_IMPL(float8, CPU, m) { m.impl("dequantize", &dequantize); }

}  // namespace float8::cpu
