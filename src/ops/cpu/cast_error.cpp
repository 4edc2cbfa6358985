#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <array>
#include <cmath>
#include <vector>

#include "float8/format.h"
#include "src/ops/check.h"
#include "src/ops/cpu/loops/convert.h"
#include "src/ops/cpu/tensors.h"

namespace float8::cpu {
namespace {

using Errors = std::array<double, ops::kCastErrors>;

// scale: one for the row, or one for each value.
template <class E, Format kFormat>
Errors row_errors(const void* row, std::int64_t n, ScaleView scale) {
  const auto* x = static_cast<const typename E::Storage*>(row);
  Errors errors = {};
  auto& [saturated, underflowed, squares, squared_errors] = errors;
  for (std::int64_t i = 0; i < n; ++i) {
    const float value = E::to_float(x[i]);
    const float scaled = value * scale[i];
    const float decoded = decode<kFormat>(encode<kFormat>(scaled));
    const double error = static_cast<double>(decoded) * (1.0F / scale[i]) - value;
    saturated += std::fabs(scaled) > saturation_of(kFormat) ? 1 : 0;
    underflowed += decoded == 0 && value != 0 ? 1 : 0;
    squares += static_cast<double>(value) * value;
    squared_errors += error * error;
  }
  return errors;
}

using RowErrors = Errors (*)(const void*, std::int64_t, ScaleView);

constexpr RowErrors kRowErrors[kElements][kFormats] = {
    {row_errors<Float32, Format::kE4M3>, row_errors<Float32, Format::kE5M2>},
    {row_errors<BFloat16, Format::kE4M3>, row_errors<BFloat16, Format::kE5M2>},
    {row_errors<Float16, Format::kE4M3>, row_errors<Float16, Format::kE5M2>},
};

at::Tensor cast_error(const at::Tensor& x_any, const at::Tensor& scale_any, at::ScalarType dtype) {
  ops::check_high_precision("cast_error", x_any);
  const Format format = ops::check_format("cast_error", dtype);
  ops::check_scale("cast_error", scale_any, x_any);
  const at::Tensor x = x_any.contiguous();
  const at::Tensor scale = scale_any.contiguous();
  const std::int64_t row_bytes = x.size(1) * x.element_size();
  const auto* data = static_cast<const std::byte*>(x.const_data_ptr());
  const auto measure = kRowErrors[index_of(element_of(x.scalar_type()))][index_of(format)];
  const ScaleView rows = row_scale(scale);
  const ScaleView columns = column_scale(scale);
  // Added up row by row: the same sums for any number of threads.
  std::vector<Errors> errors(x.size(0));
  at::parallel_for(0, x.size(0), grain(x.size(1)), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const ScaleView of_row =
          columns.stride == 0 ? ScaleView{&rows.data[r * rows.stride], 0} : columns;
      errors[r] = measure(data + r * row_bytes, x.size(1), of_row);
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
