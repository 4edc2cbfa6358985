#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "relaxed.h"

// The CUDA runtime's functions that kernels/gemm calls, on the host: events on a clock that the
// tests set, memory from the heap. Streams do not exist: everything is done when a call returns.
namespace float8::host_cuda {

struct Runtime {
  Relaxed<float> clock = 0;  ///< milliseconds; what runs in a stream moves it
  bool capturing = false;    ///< all streams are
  std::string device_name = "Test GPU";
  int multiprocessors = 132;
  /// What these return from now on.
  cudaError_t event_create = cudaSuccess;
  cudaError_t event_synchronize = cudaSuccess;
  cudaError_t malloc_async = cudaSuccess;
  cudaError_t is_capturing = cudaSuccess;

  Relaxed<int> events = 0;       ///< created so far
  Relaxed<int> live_events = 0;  ///< and not destroyed
  Relaxed<int> allocations = 0;
  Relaxed<int> live_allocations = 0;
  Relaxed<cudaError_t> last_error = cudaSuccess;  ///< as cudaGetLastError returns it
};
Runtime& runtime();

/// As at the start of the program.
void reset_runtime();

}  // namespace float8::host_cuda
