#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <stdexcept>

// Runs a CUDA grid on the host. Each thread of a block is a fiber: it runs until it waits for
// others or returns. What a GPU would answer with a hang, a fault or a wrong number is an Error.
namespace float8::host_cuda {

/// What a kernel did wrong: threads that wait for threads that never come, a misaligned access.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Launch {
  std::int64_t blocks;
  unsigned threads;
  std::size_t shared_bytes;
};

/// How launches run, and what they were; for the tests.
struct Settings {
  /// OS threads that share a launch's blocks. Above 1, nothing orders the blocks of one worker
  /// before those of another: ThreadSanitizer sees races between blocks too.
  unsigned workers;
  /// Draws the order of blocks, of a block's warps and of a warp's lanes: a right kernel's results
  /// don't depend on it.
  std::uint64_t seed = 1;
  /// The next launch returns this instead of running.
  cudaError_t next_status = cudaSuccess;
  /// Launches are checked and counted, and do nothing.
  bool skip_work = false;
  /// Launches so far, failed ones included.
  std::int64_t launches = 0;
};
Settings& settings();

/// Calls `thread` for each thread of the grid, which is done when this returns. Refuses the shapes
/// that the runtime refuses on some supported GPU. Throws the Error of the first bad block.
cudaError_t run(const Launch& launch, const std::function<void()>& thread);

/// The rest is called by threads of a running grid.
std::uint8_t* dynamic_shared();
void sync_threads(std::source_location where);
void sync_warp(std::source_location where);
std::uint32_t warp_max(std::uint32_t value, std::source_location where);
[[noreturn]] void fail(const char* message, const void* address);

/// threadIdx and its siblings; launches are one-dimensional.
struct Index {
  unsigned x = 0;
};

}  // namespace float8::host_cuda

inline constinit thread_local float8::host_cuda::Index threadIdx;  // NOLINT
inline constinit thread_local float8::host_cuda::Index blockIdx;   // NOLINT
inline constinit thread_local float8::host_cuda::Index blockDim;   // NOLINT
inline constinit thread_local float8::host_cuda::Index gridDim;    // NOLINT
