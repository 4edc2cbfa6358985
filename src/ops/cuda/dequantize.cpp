#include "kernels/quantize/dequantize.h"

#include "src/ops/check.h"
#include "src/ops/cuda/operators.h"
#include "src/ops/cuda/tensors.h"

namespace float8::cuda {

at::Tensor dequantize(const at::Tensor& data_any, const at::Tensor& scale_any,
                      at::ScalarType dtype) {
  ops::check_fp8("dequantize", "data", data_any);
  ops::check_scale("dequantize", scale_any, data_any);
  ops::check_result_dtype("dequantize", dtype);
  const Device device(data_any);
  const at::Tensor data = data_any.contiguous();
  const at::Tensor scale = scale_any.contiguous();
  const at::Tensor result = device.empty(data.sizes(), dtype);
  check_launch("dequantize",
               kernels::launch_dequantize(
                   const_bytes_of(data), ops::check_format("dequantize", data.scalar_type()),
                   scale.const_data_ptr<float>(), granularity_of(block_of(scale)), data.size(0),
                   data.size(1), result.mutable_data_ptr(), element_of(dtype), device.stream()));
  return result;
}

}  // namespace float8::cuda
