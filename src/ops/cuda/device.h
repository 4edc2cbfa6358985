#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/cuda/CUDAContextLight.h>
#include <ATen/cuda/EmptyTensor.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <cublasLt.h>

#include <array>
#include <atomic>
#include <limits>

// What the operators need of the device and of torch's CUDA runtime, in one place. In the tests
// tests/host_cuda/src/ops/cuda/device.h takes this header's place, and the operators, with the
// kernels under them, run on a machine without a GPU.
namespace float8::cuda {

/// The device of a call's tensors: current while this lives, with torch's current stream. Asks the
/// device nothing.
class Device {
 public:
  explicit Device(const at::Tensor& tensor)
      : guard_(tensor.device()), stream_(c10::cuda::getCurrentCUDAStream(tensor.get_device())) {}

  [[nodiscard]] int index() const { return guard_.current_device().index(); }
  [[nodiscard]] cudaStream_t stream() const { return stream_.stream(); }

  /// 10 * major + minor.
  [[nodiscard]] int compute_capability() const {
    const cudaDeviceProp& properties = *at::cuda::getCurrentDeviceProperties();
    return 10 * properties.major + properties.minor;
  }
  [[nodiscard]] cublasLtHandle_t blas() const { return at::cuda::getCurrentCUDABlasLtHandle(); }

  /// at::empty without the dispatcher, which takes a quarter of its time.
  [[nodiscard]] at::Tensor empty(at::IntArrayRef sizes, at::ScalarType dtype) const {
    return at::detail::empty_cuda(sizes, dtype, guard_.current_device(), std::nullopt);
  }

  /// torch's own workspace for GEMMs on this stream: what one of them writes there is done with
  /// when the next one starts.
  [[nodiscard]] void* workspace() const { return at::cuda::getCUDABlasLtWorkspace(); }
  [[nodiscard]] std::size_t workspace_bytes() const {
    // Asking reads environment variables. It depends on the device; 0 here is "not asked yet".
    static std::array<std::atomic<std::size_t>, 1 + std::numeric_limits<c10::DeviceIndex>::max()>
        known = {};
    std::atomic<std::size_t>& plus_one = known[static_cast<std::size_t>(index())];
    if (plus_one.load(std::memory_order_relaxed) == 0) {
      plus_one.store(at::cuda::getCUDABlasLtWorkspaceSize() + 1, std::memory_order_relaxed);
    }
    return plus_one.load(std::memory_order_relaxed) - 1;
  }

 private:
  c10::cuda::CUDAGuard guard_;
  c10::cuda::CUDAStream stream_;
};

/// An error for a launch that failed.
inline void check_launch(const char* op, cudaError_t status) {
  TORCH_CHECK(status == cudaSuccess, "[", op,
              "] the kernel was not launched: ", cudaGetErrorString(status));
}

}  // namespace float8::cuda
