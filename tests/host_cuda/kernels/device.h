#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <tuple>

#include "engine.h"
#include "float8/format.h"

// Takes the place of kernels/device.h, and of the CUDA language, where a C++ compiler builds the
// kernels' sources for the host. The same names with the same meaning; the engine runs the grid.

// CUDA's headers give a C++ compiler empty __global__, __device__ and __host__. An OS thread runs
// one block at a time, so what is the OS thread's is the block's.
#undef __shared__
#define __shared__ static thread_local
#define __launch_bounds__(...)

inline void __syncthreads(std::source_location where = std::source_location::current()) {  // NOLINT
  float8::host_cuda::sync_threads(where);
}
inline void __syncwarp(std::source_location where = std::source_location::current()) {  // NOLINT
  float8::host_cuda::sync_warp(where);
}

namespace float8::kernels {

inline constexpr unsigned kWarpSize = 32;

struct alignas(16) Bytes16 {
  std::uint32_t words[4];
};

namespace detail {

inline void require_aligned(const void* address) {
  if (reinterpret_cast<std::uintptr_t>(address) % 16 != 0) {
    host_cuda::fail("a 128-bit load or store must be 16-byte aligned, got address", address);
  }
}

}  // namespace detail

inline Bytes16 load(const void* aligned16) {
  detail::require_aligned(aligned16);
  Bytes16 value;
  std::memcpy(&value, aligned16, sizeof value);
  return value;
}
inline Bytes16 load_once(const void* aligned16) { return load(aligned16); }
inline void store(void* aligned16, const Bytes16& value) {
  detail::require_aligned(aligned16);
  std::memcpy(aligned16, &value, sizeof value);
}

template <Format kFormat>
inline std::uint16_t encode_pair(float low, float high) {
  return static_cast<std::uint16_t>(encode<kFormat>(low) | (encode<kFormat>(high) << 8));
}

template <Format kFormat>
inline void decode_pair(std::uint16_t codes, float& low, float& high) {
  low = decode<kFormat>(static_cast<std::uint8_t>(codes));
  high = decode<kFormat>(static_cast<std::uint8_t>(codes >> 8));
}

inline float half_to_float(std::uint16_t bits) { return __half2float(__ushort_as_half(bits)); }
inline std::uint16_t float_to_half(float value) { return __half_as_ushort(__float2half_rn(value)); }

/// The build turns the contraction of a * b + c off (-ffp-contract=off).
inline float multiply(float a, float b) { return a * b; }

inline std::uint32_t select_bytes(std::uint32_t low, std::uint32_t high, std::uint32_t selector) {
  const std::uint64_t bytes = (static_cast<std::uint64_t>(high) << 32) | low;
  std::uint32_t result = 0;
  for (int i = 0; i < 4; ++i) {
    const std::uint32_t byte = (selector >> (4 * i)) & 7;
    result |= static_cast<std::uint32_t>((bytes >> (8 * byte)) & 0xFF) << (8 * i);
  }
  return result;
}

inline std::uint32_t max_halves(std::uint32_t a, std::uint32_t b) {
  const std::uint32_t low = (a & 0xFFFFU) > (b & 0xFFFFU) ? a & 0xFFFFU : b & 0xFFFFU;
  const std::uint32_t high = (a >> 16) > (b >> 16) ? a >> 16 : b >> 16;
  return (high << 16) | low;
}

inline std::uint32_t warp_max(std::uint32_t value,
                              std::source_location where = std::source_location::current()) {
  return host_cuda::warp_max(value, where);
}

inline void atomic_max(std::uint32_t* shared, std::uint32_t value) {
  const std::atomic_ref<std::uint32_t> largest(*shared);
  std::uint32_t seen = largest.load(std::memory_order_relaxed);
  while (seen < value && !largest.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
}

inline std::uint8_t* dynamic_shared() { return host_cuda::dynamic_shared(); }

struct LaunchShape {
  std::int64_t blocks;
  unsigned threads;
  std::size_t shared_bytes = 0;
};

/// Runs the whole grid before it returns.
template <class... Parameters, class... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), const LaunchShape& shape, cudaStream_t,
                   Arguments... arguments) {
  const std::tuple<Parameters...> values(static_cast<Parameters>(arguments)...);
  return host_cuda::run({shape.blocks, shape.threads, shape.shared_bytes},
                        [&] { std::apply(kernel, values); });
}

}  // namespace float8::kernels
