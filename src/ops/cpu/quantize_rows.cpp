#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "float8/scaling.h"
#include "src/ops/cpu/column_maxima.h"
#include "src/ops/cpu/tensors.h"

namespace float8::cpu {
namespace {

// A row is read by the maximum and is in the cache for the cast, which would leave memory idle: it
// asks for the row after the next one.
constexpr std::int64_t kRowsAhead = 2;
constexpr std::int64_t kChunk = 1024;

}  // namespace

at::Tensor quantize_rows(const at::Tensor& x, const at::Tensor& data, Format format,
                         bool power_of_two, at::Tensor* column_amax) {
  const std::int64_t k = x.size(1);
  const std::int64_t ld = data.size(1);
  const std::int64_t size = x.element_size();
  const Element element = element_of(x.scalar_type());
  const auto amax = loops().amax[index_of(element)];
  const auto cast_any = loops().cast[index_of(element)][index_of(format)];
  const auto cast_bounded = loops().cast_bounded[index_of(element)][index_of(format)];
  const auto* in = static_cast<const std::byte*>(x.const_data_ptr());
  std::uint8_t* out = bytes_of(data);
  at::Tensor result = at::empty({x.size(0), 1}, x.options().dtype(at::kFloat));
  auto* scales = result.mutable_data_ptr<float>();
  const bool columns = column_amax != nullptr;
  ColumnMaxima maxima(element, columns ? k : 0);

  const auto quantize_row = [&](std::int64_t r, std::int64_t end) {
    const std::byte* row = in + r * k * size;
    std::uint8_t* codes = out + r * ld;
    const float scale =
        float8::amax_to_scale(amax_value(element, amax(row, k)), format, power_of_two);
    const auto cast = scale > 0.0F ? cast_bounded : cast_any;
    for (std::int64_t c = 0; c < k; c += kChunk) {
      const std::int64_t n = std::min(kChunk, k - c);
      if (r + kRowsAhead < end) {
        prefetch(row + (kRowsAhead * k + c) * size, n * size);
      }
      cast(row + c * size, n, scale, codes + c);
    }
    std::fill_n(codes + k, ld - k, std::uint8_t{0});  // memset may not be given a null pointer
    scales[r] = scale;
  };
  at::parallel_for(0, x.size(0), grain(k), [&](std::int64_t begin, std::int64_t end) {
    ColumnMaxima::Part part(maxima);
    for (std::int64_t first = begin; first < end; first += kAmaxRows) {
      const std::int64_t count = std::min(kAmaxRows, end - first);
      for (std::int64_t r = first; r < first + count; ++r) {
        quantize_row(r, end);
      }
      if (columns) {
        part.add_rows(in + first * k * size, count);
      }
    }
  });
  if (columns) {
    *column_amax = maxima.values();
  }
  return result;
}

}  // namespace float8::cpu
