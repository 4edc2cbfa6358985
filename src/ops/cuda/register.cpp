#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "src/ops/cuda/operators.h"
#include "src/ops/linear/kept_copies.h"

namespace float8::cuda {
namespace {

// What is captured into a graph must not read copies that were made outside of it: they are gone
// when the graph is replayed.
std::uint64_t capture_id(c10::Device device) {
  const c10::cuda::CUDAGuard guard(device);
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  unsigned long long id = 0;
  const cudaError_t error = cudaStreamGetCaptureInfo(
      c10::cuda::getCurrentCUDAStream(device.index()).stream(), &status, &id);
  TORCH_CHECK(error == cudaSuccess, "[linear] the stream does not say whether it is captured: ",
              cudaGetErrorString(error));
  return status == cudaStreamCaptureStatusNone ? 0 : id;
}

[[maybe_unused]] const bool kRegistered = [] {
  ops::set_capture_id(&capture_id);
  return true;
}();

}  // namespace
}  // namespace float8::cuda

TORCH_LIBRARY_IMPL(float8, CUDA, m) { float8::cuda::implement_operators(m); }
