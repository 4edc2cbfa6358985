#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "float8/scaling.h"
#include "src/ops/cpu/tensors.h"

namespace float8::cpu {

at::Tensor quantize_rows(const at::Tensor& x, const at::Tensor& data, Format format,
                         bool power_of_two) {
  const std::int64_t k = x.size(1);
  const std::int64_t ld = data.size(1);
  const std::int64_t row_bytes = k * x.element_size();
  const Element element = element_of(x.scalar_type());
  const auto amax = loops().amax[index_of(element)];
  const auto cast = loops().cast[index_of(element)][index_of(format)];
  const auto cast_bounded = loops().cast_bounded[index_of(element)][index_of(format)];
  const auto* in = static_cast<const std::byte*>(x.const_data_ptr());
  std::uint8_t* out = bytes_of(data);
  at::Tensor result = at::empty({x.size(0), 1}, x.options().dtype(at::kFloat));
  auto* scales = result.mutable_data_ptr<float>();

  at::parallel_for(0, x.size(0), grain(k), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const std::byte* row = in + r * row_bytes;
      std::uint8_t* codes = out + r * ld;
      const float scale =
          float8::amax_to_scale(amax_value(element, amax(row, k)), format, power_of_two);
      (scale > 0.0F ? cast_bounded : cast)(row, k, scale, codes);
      std::fill_n(codes + k, ld - k, std::uint8_t{0});  // memset may not be given a null pointer
      scales[r] = scale;
    }
  });
  return result;
}

}  // namespace float8::cpu
