#include "kernels/quantize/scale.h"
#include "src/ops/check.h"
#include "src/ops/cuda/operators.h"
#include "src/ops/cuda/tensors.h"

namespace float8::cuda {

at::Tensor amax_to_scale(const at::Tensor& amax, at::ScalarType dtype, bool power_of_two) {
  const Format format = ops::check_amax("amax_to_scale", amax, dtype);
  const Device device(amax);
  const at::Tensor values = amax.to(at::kFloat).contiguous();
  const at::Tensor scale = device.empty(values.sizes(), at::kFloat);
  check_launch("amax_to_scale", kernels::launch_amax_to_scale(
                                    values.const_data_ptr<float>(), scale.mutable_data_ptr<float>(),
                                    values.numel(), format, power_of_two, device.stream()));
  return scale;
}

}  // namespace float8::cuda
