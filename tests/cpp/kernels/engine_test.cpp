#include "engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "float8/scaling.h"
#include "kernels/device.h"
#include "kernels/quantize/scale.h"

// The stand-in for the CUDA language: what a right kernel may rely on holds, and what a GPU
// punishes is an error.
namespace float8::kernels {
namespace {

using host_cuda::Error;

constexpr unsigned kThreads = 96;

// Every launch with each order of blocks, warps and lanes, and with one and several OS threads.
template <class Check>
void on_every_schedule(Check check) {
  const host_cuda::Settings before = host_cuda::settings();
  for (const unsigned workers : {1U, 3U}) {
    for (const std::uint64_t seed : {1U, 2U, 3U}) {
      host_cuda::settings().workers = workers;
      host_cuda::settings().seed = seed;
      SCOPED_TRACE("workers " + std::to_string(workers) + ", seed " + std::to_string(seed));
      check();
    }
  }
  host_cuda::settings().workers = before.workers;
  host_cuda::settings().seed = before.seed;
}

template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

__global__ void index_kernel(std::uint32_t* out) {
  out[blockIdx.x * blockDim.x + threadIdx.x] =
      gridDim.x * 1000000 + blockIdx.x * 1000 + threadIdx.x;
}

TEST(HostCuda, EveryThreadOfTheGridRunsOnce) {
  on_every_schedule([] {
    constexpr unsigned kBlocks = 7;
    std::vector<std::uint32_t> out(kBlocks * kThreads);
    ASSERT_EQ(launch(index_kernel, {kBlocks, kThreads}, nullptr, out.data()), cudaSuccess);
    for (unsigned i = 0; i < out.size(); ++i) {
      ASSERT_EQ(out[i], kBlocks * 1000000 + i / kThreads * 1000 + i % kThreads);
    }
  });
}

// Each round, a thread reads what its two neighbours wrote in the round before.
__global__ void __launch_bounds__(kThreads) neighbours_kernel(std::uint32_t* out, int rounds) {
  __shared__ std::uint32_t values[2][kThreads];
  const unsigned i = threadIdx.x;
  values[0][i] = blockIdx.x + i;
  __syncthreads();
  for (int round = 0; round < rounds; ++round) {
    const auto& from = values[round % 2];
    values[(round + 1) % 2][i] = from[(i + 1) % kThreads] + from[(i + kThreads - 1) % kThreads];
    __syncthreads();
  }
  out[blockIdx.x * kThreads + i] = values[rounds % 2][i];
}

TEST(HostCuda, SyncThreadsSeparatesRounds) {
  on_every_schedule([] {
    constexpr unsigned kBlocks = 5;
    constexpr int kRounds = 9;
    std::vector<std::uint32_t> out(kBlocks * kThreads);
    ASSERT_EQ(launch(neighbours_kernel, {kBlocks, kThreads}, nullptr, out.data(), kRounds),
              cudaSuccess);
    for (unsigned block = 0; block < kBlocks; ++block) {
      std::vector<std::uint32_t> expected(kThreads);
      std::iota(expected.begin(), expected.end(), block);
      for (int round = 0; round < kRounds; ++round) {
        const std::vector<std::uint32_t> from = expected;
        for (unsigned i = 0; i < kThreads; ++i) {
          expected[i] = from[(i + 1) % kThreads] + from[(i + kThreads - 1) % kThreads];
        }
      }
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), out.begin() + block * kThreads));
    }
  });
}

// A maximum over each block: warps first, then through shared memory; the tail has no values.
__global__ void block_max_kernel(const std::uint32_t* in, std::int64_t n, std::uint32_t* out) {
  auto* partial = reinterpret_cast<std::uint32_t*>(dynamic_shared());
  if (threadIdx.x == 0) {
    partial[0] = 0;
  }
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const std::uint32_t largest = warp_max(i < n ? in[i] : 0);
  __syncthreads();
  if (threadIdx.x % kWarpSize == 0) {
    atomic_max(partial, largest);
  }
  __syncthreads();
  if (threadIdx.x == blockDim.x - 1) {
    out[blockIdx.x] = partial[0];
  }
}

TEST(HostCuda, WarpMaxAndAtomicMax) {
  on_every_schedule([] {
    constexpr std::int64_t kValues = 1000;
    std::vector<std::uint32_t> in(kValues);
    std::uint32_t state = 1;
    for (std::uint32_t& value : in) {
      value = state = state * 1664525U + 1013904223U;
    }
    constexpr std::int64_t kBlocks = (kValues + kThreads - 1) / kThreads;
    std::vector<std::uint32_t> out(kBlocks);
    ASSERT_EQ(launch(block_max_kernel, {kBlocks, kThreads, sizeof(std::uint32_t)}, nullptr,
                     in.data(), kValues, out.data()),
              cudaSuccess);
    for (std::int64_t block = 0; block < kBlocks; ++block) {
      const auto first = in.begin() + block * kThreads;
      const auto last = in.begin() + std::min<std::int64_t>((block + 1) * kThreads, kValues);
      EXPECT_EQ(out[block], *std::max_element(first, last));
    }
  });
}

__global__ void divergent_barrier_kernel(unsigned limit) {
  if (threadIdx.x >= limit) {
    return;
  }
  __syncthreads();
}

TEST(HostCuda, SyncThreadsThatSomeThreadsNeverReachIsAnError) {
  const auto error = error_of([] {
    launch(divergent_barrier_kernel, {2, kThreads}, nullptr, 90U);
  });
  EXPECT_NE(error.find("90 wait in __syncthreads() at engine_test.cpp:"), std::string::npos)
      << error;
  EXPECT_NE(error.find("6 have returned (the first is thread 90)"), std::string::npos) << error;
  EXPECT_EQ(launch(divergent_barrier_kernel, {2, kThreads}, nullptr, kThreads), cudaSuccess);
}

__global__ void two_barriers_kernel() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

TEST(HostCuda, SyncThreadsInTwoBranchesIsAnError) {
  const auto error = error_of([] { launch(two_barriers_kernel, {1, 64}, nullptr); });
  EXPECT_NE(error.find("32 wait in __syncthreads() at engine_test.cpp:"), std::string::npos)
      << error;
}

__global__ void divergent_warp_max_kernel(std::uint32_t* out) {
  if (threadIdx.x != 37) {
    out[threadIdx.x] = warp_max(threadIdx.x);
  }
}

TEST(HostCuda, WarpMaxWithoutALaneIsAnError) {
  std::vector<std::uint32_t> out(kThreads);
  const auto error = error_of([&] {
    launch(divergent_warp_max_kernel, {1, kThreads}, nullptr, out.data());
  });
  EXPECT_NE(error.find("31 wait in warp_max() at engine_test.cpp:"), std::string::npos) << error;
  EXPECT_EQ(out[0], 31U);
  EXPECT_EQ(out[95], 95U);
}

TEST(HostCuda, WarpMaxInAPartialWarpIsAnError) {
  std::vector<std::uint32_t> out(kThreads);
  const auto error = error_of([&] {
    launch(divergent_warp_max_kernel, {1, 20}, nullptr, out.data());
  });
  EXPECT_NE(error.find("the last warp has 20 lanes"), std::string::npos) << error;
}

__global__ void copy_kernel(const std::uint8_t* in, std::uint8_t* out) {
  store(out + std::size_t{16} * threadIdx.x, load(in + std::size_t{16} * threadIdx.x));
}

TEST(HostCuda, LoadsAndStoresMove16AlignedBytes) {
  alignas(16) std::uint8_t in[17 * 16];
  alignas(16) std::uint8_t out[17 * 16] = {};
  std::iota(std::begin(in), std::end(in), std::uint8_t{1});
  ASSERT_EQ(launch(copy_kernel, {1, 16}, nullptr, in, out), cudaSuccess);
  EXPECT_TRUE(std::equal(in, in + 256, out));
  EXPECT_EQ(out[256], 0);
  for (const int offset : {1, 8}) {
    EXPECT_NE(error_of([&] {
                launch(copy_kernel, {1, 16}, nullptr, in + offset, out);
              }).find("must be 16-byte aligned"),
              std::string::npos);
    EXPECT_NE(error_of([&] {
                launch(copy_kernel, {1, 16}, nullptr, in, out + offset);
              }).find("must be 16-byte aligned"),
              std::string::npos);
  }
}

__global__ void read_shared_kernel(std::uint8_t* out) {
  out[blockIdx.x * blockDim.x + threadIdx.x] = dynamic_shared()[threadIdx.x];
  dynamic_shared()[threadIdx.x] = 0;
}

TEST(HostCuda, SharedMemoryStartsWithGarbageInEachBlock) {
  std::vector<std::uint8_t> out(3 * kThreads);
  ASSERT_EQ(launch(read_shared_kernel, {3, kThreads, kThreads}, nullptr, out.data()), cudaSuccess);
  EXPECT_EQ(std::count(out.begin(), out.end(), 0xA5), 3 * kThreads);
}

TEST(HostCuda, RefusesTheLaunchesThatTheRuntimeRefuses) {
  std::vector<std::uint32_t> out(2048);
  EXPECT_EQ(launch(index_kernel, {0, 32}, nullptr, out.data()), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(index_kernel, {1, 0}, nullptr, out.data()), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(index_kernel, {1, 1025}, nullptr, out.data()), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(index_kernel, {std::int64_t{1} << 31, 32}, nullptr, out.data()),
            cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(index_kernel, {1, 32, 100 << 10}, nullptr, out.data()), cudaErrorInvalidValue);
  EXPECT_EQ(std::count(out.begin(), out.end(), 0), 2048);
}

TEST(HostCuda, CountsLaunchesAndFailsTheNextOnRequest) {
  std::vector<std::uint32_t> out(32);
  const std::int64_t before = host_cuda::settings().launches;
  host_cuda::settings().next_status = cudaErrorLaunchOutOfResources;
  EXPECT_EQ(launch(index_kernel, {1, 32}, nullptr, out.data()), cudaErrorLaunchOutOfResources);
  EXPECT_EQ(out[1], 0U);
  EXPECT_EQ(launch(index_kernel, {1, 32}, nullptr, out.data()), cudaSuccess);
  EXPECT_EQ(out[1], 1000001U);
  EXPECT_EQ(host_cuda::settings().launches, before + 2);
}

TEST(AmaxToScale, KernelEqualsTheFormula) {
  std::vector<float> amax(10001);
  for (std::size_t i = 0; i < amax.size(); ++i) {
    amax[i] = static_cast<float>(i) * 0.37F;
  }
  for (const bool power_of_two : {false, true}) {
    std::vector<float> scale(amax.size());
    ASSERT_EQ(launch_amax_to_scale(amax.data(), scale.data(), std::ssize(amax), Format::kE4M3,
                                   power_of_two, nullptr),
              cudaSuccess);
    for (std::size_t i = 0; i < amax.size(); ++i) {
      ASSERT_EQ(scale[i], amax_to_scale(amax[i], Format::kE4M3, power_of_two));
    }
  }
}

}  // namespace
}  // namespace float8::kernels
