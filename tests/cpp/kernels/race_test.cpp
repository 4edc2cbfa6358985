#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "kernels/device.h"
#include "sanitizers.h"

// ThreadSanitizer sees the races of a kernel, wherever the engine's order of threads hides them.
// A racy launch runs in a process of its own, which must end with ThreadSanitizer's exit code.
namespace float8::kernels {
namespace {

constexpr unsigned kThreads = 64;

template <class Kernel>
void run_and_exit(Kernel kernel, unsigned blocks) {
  std::vector<std::uint32_t> out(std::size_t{blocks} * kThreads);
  launch(kernel, {blocks, kThreads, kThreads * sizeof(std::uint32_t)}, nullptr, out.data());
  std::exit(0);
}

class Races : public testing::Test {
 protected:
  void SetUp() override {
    if (!host_cuda::thread_sanitizer()) {
      GTEST_SKIP() << "needs ThreadSanitizer: cmake --preset tsan";
    }
    testing::GTEST_FLAG(death_test_style) = "threadsafe";  // starts the program again, no fork
  }
};

#define EXPECT_RACE(kernel, blocks) \
  EXPECT_EXIT(run_and_exit(kernel, blocks), testing::ExitedWithCode(66), "data race")

#define EXPECT_NO_RACE(kernel, blocks) \
  EXPECT_EXIT(run_and_exit(kernel, blocks), testing::ExitedWithCode(0), "")

template <bool kBarrier>
__global__ void neighbour_kernel(std::uint32_t* out) {
  __shared__ std::uint32_t values[kThreads];
  values[threadIdx.x] = threadIdx.x;
  if constexpr (kBarrier) {
    __syncthreads();
  }
  out[blockIdx.x * kThreads + threadIdx.x] = values[(threadIdx.x + 1) % blockDim.x];
}

// Blocks of one warp, then of two.
void run_growing_blocks_and_exit() {
  std::vector<std::uint32_t> out(7 * kThreads);
  launch(neighbour_kernel<true>, {7, kThreads / 2}, nullptr, out.data());
  launch(neighbour_kernel<true>, {7, kThreads}, nullptr, out.data());
  std::exit(0);
}

TEST_F(Races, BlocksOfAnotherSizeAreNoRace) {
  EXPECT_EXIT(run_growing_blocks_and_exit(), testing::ExitedWithCode(0), "");
}

TEST_F(Races, StaticSharedMemoryWithoutABarrier) {
  EXPECT_NO_RACE(neighbour_kernel<true>, 7);
  EXPECT_RACE(neighbour_kernel<false>, 1);
}

// The second round writes what others may still read in the first: one barrier too few.
template <bool kSecondBarrier>
__global__ void rounds_kernel(std::uint32_t* out) {
  auto* values = reinterpret_cast<std::uint32_t*>(dynamic_shared());
  std::uint32_t sum = 0;
  for (std::uint32_t round = 0; round < 3; ++round) {
    values[threadIdx.x] = threadIdx.x + round;
    __syncthreads();
    sum += values[(threadIdx.x + 1) % kThreads];
    if constexpr (kSecondBarrier) {
      __syncthreads();
    }
  }
  out[blockIdx.x * kThreads + threadIdx.x] = sum;
}

TEST_F(Races, DynamicSharedMemoryReusedTooEarly) {
  EXPECT_NO_RACE(rounds_kernel<true>, 7);
  EXPECT_RACE(rounds_kernel<false>, 1);
}

template <bool kSyncWarp>
__global__ void warp_kernel(std::uint32_t* out) {
  __shared__ std::uint32_t values[kThreads];
  values[threadIdx.x] = warp_max(threadIdx.x);
  warp_max(0);
  if constexpr (kSyncWarp) {
    __syncwarp();
  }
  out[blockIdx.x * kThreads + threadIdx.x] = values[threadIdx.x ^ 1U];
}

TEST_F(Races, WarpMaxOrdersNoMemoryAccesses) {
  EXPECT_NO_RACE(warp_kernel<true>, 7);
  EXPECT_RACE(warp_kernel<false>, 1);
}

__global__ void other_warp_kernel(std::uint32_t* out) {
  __shared__ std::uint32_t values[kThreads];
  values[threadIdx.x] = threadIdx.x;
  __syncwarp();
  out[threadIdx.x] = values[threadIdx.x ^ 32U];
}

TEST_F(Races, SyncWarpOrdersOnlyItsWarp) { EXPECT_RACE(other_warp_kernel, 1); }

// Every block adds to the same 64 values.
__global__ void blocks_kernel(std::uint32_t* out) {
  __syncthreads();
  out[threadIdx.x] += blockIdx.x;
}
__global__ void blocks_atomic_kernel(std::uint32_t* out) {
  __syncthreads();
  atomic_max(&out[threadIdx.x], blockIdx.x);
}

TEST_F(Races, GlobalMemoryBetweenBlocks) {
  EXPECT_NO_RACE(blocks_atomic_kernel, 7);
  EXPECT_RACE(blocks_kernel, 2);
}

}  // namespace
}  // namespace float8::kernels
