#include "kernels/quantize/cast.h"

#include "src/ops/check.h"
#include "src/ops/cuda/operators.h"
#include "src/ops/cuda/tensors.h"

namespace float8::cuda {

at::Tensor cast(const at::Tensor& x_any, const at::Tensor& scale_any, at::ScalarType dtype,
                bool transpose) {
  ops::check_high_precision("cast", x_any);
  const Format format = ops::check_format("cast", dtype);
  ops::check_scale("cast", scale_any, x_any);
  const Device device(x_any);
  const at::Tensor x = x_any.contiguous();
  const at::Tensor scale = scale_any.contiguous();
  const std::int64_t rows = x.size(transpose ? 1 : 0);
  const std::int64_t columns = x.size(transpose ? 0 : 1);
  const at::Tensor data = device.empty({rows, ops::padded(columns)}, dtype);
  std::uint8_t* out = bytes_of(data);
  check_launch("cast", kernels::launch_cast(matrix_of(x), scale.const_data_ptr<float>(),
                                            granularity_of(block_of(scale)), format,
                                            transpose ? nullptr : out, transpose ? out : nullptr,
                                            device.stream()));
  return data;
}

}  // namespace float8::cuda
