#include "kernels/quantize/scale.h"

#include "float8/scaling.h"
#include "kernels/device.h"

namespace float8::kernels {
namespace {

constexpr int kThreads = 256;
// Enough blocks to fill any GPU; the threads stride over what is left.
constexpr std::int64_t kMaxBlocks = 1024;

// Grid: one thread per value, striding by the whole grid. Any alignment; no shared memory.
__global__ void amax_to_scale_kernel(const float* amax, float* scale, std::int64_t n, Format format,
                                     bool power_of_two) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < n;
       i += stride) {
    scale[i] = amax_to_scale(amax[i], format, power_of_two);
  }
}

}  // namespace

cudaError_t launch_amax_to_scale(const float* amax, float* scale, std::int64_t n, Format format,
                                 bool power_of_two, cudaStream_t stream) {
  if (n == 0) {
    return cudaSuccess;
  }
  const std::int64_t blocks = (n + kThreads - 1) / kThreads;
  const LaunchShape shape = {.blocks = blocks < kMaxBlocks ? blocks : kMaxBlocks,
                             .threads = kThreads};
  return launch(amax_to_scale_kernel, shape, stream, amax, scale, n, format, power_of_two);
}

}  // namespace float8::kernels
