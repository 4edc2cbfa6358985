#include "kernels/quantize/transpose.h"

#include "src/ops/check.h"
#include "src/ops/cuda/operators.h"
#include "src/ops/cuda/tensors.h"

namespace float8::cuda {

at::Tensor transpose(const at::Tensor& data_any) {
  ops::check_fp8("transpose", "data", data_any);
  const Device device(data_any);
  const at::Tensor data = data_any.contiguous();
  const at::Tensor result =
      device.empty({data.size(1), ops::padded(data.size(0))}, data.scalar_type());
  check_launch("transpose",
               kernels::launch_transpose(const_bytes_of(data), data.size(0), data.size(1),
                                         bytes_of(result), device.stream()));
  return result;
}

}  // namespace float8::cuda
