#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <vector>

#include "float8/format.h"
#include "src/ops/check.h"
#include "src/ops/cpu/tensors.h"

namespace float8::cpu {
namespace {

using Errors = std::array<double, ops::kCastErrors>;

constexpr std::int64_t kChunk = 32 * kErrorLanes;  // its buffers stay in the first cache

struct Measure {
  Format format;
  std::int64_t element_size;
  Loops::CastColumns cast;
  void (*decode)(const std::uint8_t*, std::int64_t, float*);
  Loops::CastError cast_error;

  // scale and scale_inv: one for each value.
  void chunk(const std::byte* x, std::int64_t n, const float* scale, const float* scale_inv,
             CastErrorSums& sums) const {
    std::array<std::uint8_t, kChunk> codes;
    std::array<float, kChunk> decoded;
    cast(x, n, scale, codes.data());
    decode(codes.data(), n, decoded.data());
    cast_error(x, decoded.data(), n, scale, scale_inv, saturation_of(format), &sums);
  }
};

Errors total_of(const CastErrorSums& sums) {
  Errors errors = {};
  for (std::int64_t lane = 0; lane < kErrorLanes; ++lane) {
    errors[0] += sums.saturated[lane];
    errors[1] += sums.underflowed[lane];
    errors[2] += sums.squares[lane];
    errors[3] += sums.squared_errors[lane];
  }
  return errors;
}

Errors row_errors(const Measure& measure, const std::byte* x, std::int64_t n, float scale) {
  std::array<float, kChunk> scales;
  std::array<float, kChunk> inverses;
  scales.fill(scale);
  inverses.fill(1.0F / scale);
  CastErrorSums sums = {};
  for (std::int64_t i = 0; i < n; i += kChunk) {
    measure.chunk(x + i * measure.element_size, std::min(kChunk, n - i), scales.data(),
                  inverses.data(), sums);
  }
  return total_of(sums);
}

Errors row_errors(const Measure& measure, const std::byte* x, std::int64_t n, const float* scales) {
  std::array<float, kChunk> inverses;
  CastErrorSums sums = {};
  for (std::int64_t i = 0; i < n; i += kChunk) {
    const std::int64_t count = std::min(kChunk, n - i);
    for (std::int64_t j = 0; j < count; ++j) {
      inverses[j] = 1.0F / scales[i + j];
    }
    measure.chunk(x + i * measure.element_size, count, scales + i, inverses.data(), sums);
  }
  return total_of(sums);
}

at::Tensor cast_error(const at::Tensor& x_any, const at::Tensor& scale_any, at::ScalarType dtype) {
  ops::check_high_precision("cast_error", x_any);
  const Format format = ops::check_format("cast_error", dtype);
  ops::check_scale("cast_error", scale_any, x_any);
  const at::Tensor x = x_any.contiguous();
  const at::Tensor scale = scale_any.contiguous();
  const int element = index_of(element_of(x.scalar_type()));
  const Measure measure = {format, x.element_size(),
                           loops().cast_columns[element][index_of(format)],
                           loops().decode_float[index_of(format)], loops().cast_error[element]};
  const std::int64_t row_bytes = x.size(1) * x.element_size();
  const auto* data = static_cast<const std::byte*>(x.const_data_ptr());
  const ScaleView rows = row_scale(scale);
  const ScaleView columns = column_scale(scale);
  // Added up row by row: the same sums for any number of threads.
  std::vector<Errors> errors(x.size(0));
  at::parallel_for(0, x.size(0), grain(x.size(1)), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const std::byte* row = data + r * row_bytes;
      errors[r] = columns.stride == 0 ? row_errors(measure, row, x.size(1), rows[r])
                                      : row_errors(measure, row, x.size(1), columns.data);
    }
  });
  at::Tensor result = at::empty({ops::kCastErrors}, at::kDouble);
  auto* total = result.mutable_data_ptr<double>();
  std::fill_n(total, ops::kCastErrors, 0.0);
  for (const Errors& row : errors) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      total[i] += row[i];
    }
  }
  return result;
}

}  // namespace

TORCH_LIBRARY_IMPL(float8, CPU, m) { m.impl("cast_error", &cast_error); }

}  // namespace float8::cpu
