#pragma once

#include "kernels/quantize/element.h"

// Largest magnitudes, as integers: a float's absolute bits ascend with its magnitude, infinity
// comes after all finite values, and NaN after infinity.
namespace float8::kernels {

template <int kSize>
inline constexpr std::uint32_t kMagnitudeBits = kSize == 2 ? 0x7FFF7FFFU : 0x7FFFFFFFU;

__device__ inline std::uint32_t larger(std::uint32_t a, std::uint32_t b) { return a > b ? a : b; }

/// Element by element, of two words of magnitudes.
template <int kSize>
__device__ inline std::uint32_t larger_magnitudes(std::uint32_t a, std::uint32_t b) {
  if constexpr (kSize == 2) {
    return max_halves(a, b);
  } else {
    return larger(a, b);
  }
}

template <int kSize>
__device__ inline Bytes16 magnitudes_of(Bytes16 vector) {
  for (std::uint32_t& word : vector.words) {
    word &= kMagnitudeBits<kSize>;
  }
  return vector;
}

/// Element by element, `maxima` and a vector of magnitudes.
template <int kSize>
__device__ inline void raise(Bytes16& maxima, const Bytes16& magnitudes) {
  for (int i = 0; i < 4; ++i) {
    maxima.words[i] = larger_magnitudes<kSize>(maxima.words[i], magnitudes.words[i]);
  }
}

/// The largest of a vector's magnitudes.
template <int kSize>
__device__ inline std::uint32_t largest_of(const Bytes16& magnitudes) {
  const auto [a, b, c, d] = magnitudes.words;
  const std::uint32_t word =
      larger_magnitudes<kSize>(larger_magnitudes<kSize>(a, b), larger_magnitudes<kSize>(c, d));
  return kSize == 2 ? larger(word & 0xFFFFU, word >> 16) : word;
}

/// The largest value of a block, in every thread; all threads call it. `warps`: 32 words of shared
/// memory that no thread uses meanwhile.
__device__ inline std::uint32_t block_max(std::uint32_t value, std::uint32_t* warps) {
  const unsigned lane = threadIdx.x % kWarpSize;
  const std::uint32_t of_warp = warp_max(value);
  if (lane == 0) {
    warps[threadIdx.x / kWarpSize] = of_warp;
  }
  __syncthreads();
  return warp_max(lane < blockDim.x / kWarpSize ? warps[lane] : 0);
}

}  // namespace float8::kernels
