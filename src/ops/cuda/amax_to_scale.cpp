#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "kernels/quantize/scale.h"
#include "src/ops/check.h"

namespace float8::cuda {
namespace {

at::Tensor amax_to_scale(const at::Tensor& amax, at::ScalarType dtype, bool power_of_two) {
  const Format format = ops::check_amax("amax_to_scale", amax, dtype);
  const c10::cuda::CUDAGuard device(amax.device());
  const at::Tensor values = amax.to(at::kFloat).contiguous();
  at::Tensor scale = at::empty_like(values);
  C10_CUDA_CHECK(kernels::launch_amax_to_scale(
      values.const_data_ptr<float>(), scale.mutable_data_ptr<float>(), values.numel(), format,
      power_of_two, c10::cuda::getCurrentCUDAStream()));
  return scale;
}

}  // namespace

TORCH_LIBRARY_IMPL(float8, CUDA, m) { m.impl("amax_to_scale", &amax_to_scale); }

}  // namespace float8::cuda
