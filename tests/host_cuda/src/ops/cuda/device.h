#pragma once

#include <ATen/EmptyTensor.h>
#include <ATen/core/Tensor.h>
#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <vector>

#include "tests/host_cuda/cublas_lt_double.h"

// Takes the place of src/ops/cuda/device.h: a device that is this machine's memory. The names and
// their meaning are those of that header.
namespace float8::cuda {

class Device {
 public:
  explicit Device(const at::Tensor& tensor) { TORCH_INTERNAL_ASSERT(tensor.device().is_cpu()); }
  [[nodiscard]] static int index() { return 0; }
  [[nodiscard]] static cudaStream_t stream() { return nullptr; }
  [[nodiscard]] static int compute_capability() {
    return host_cuda::cublas_lt().compute_capability;
  }
  [[nodiscard]] static cublasLtHandle_t blas() { return host_cuda::cublas_lt_handle(); }
  [[nodiscard]] static at::Tensor empty(at::IntArrayRef sizes, at::ScalarType dtype) {
    return at::detail::empty_cpu(sizes, dtype);
  }

  /// One for all threads: torch does not promise more, and calls of two threads overlap.
  [[nodiscard]] static void* workspace() {
    constexpr std::size_t kAlignment = 256;
    static std::vector<std::byte> bytes(workspace_bytes() + kAlignment);
    const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
    return bytes.data() + (kAlignment - address % kAlignment) % kAlignment;
  }
  [[nodiscard]] static std::size_t workspace_bytes() { return std::size_t{32} << 20; }
};

inline void check_launch(const char* op, cudaError_t status) {
  TORCH_CHECK(status == cudaSuccess, "[", op, "] the kernel was not launched: status ",
              static_cast<int>(status));
}

}  // namespace float8::cuda
