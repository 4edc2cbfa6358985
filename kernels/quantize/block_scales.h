#pragma once

#include "kernels/quantize/cast_tiles.h"
#include "kernels/quantize/magnitude.h"
#include "kernels/quantize/tile.h"

// The scales of a block of the tile kernel, which lie ready in shared memory or follow from maxima
// that each block reduces for itself: that saves a launch, and the maxima lie in L2.
namespace float8::kernels {

/// A strip's scales in shared memory. Sixteen columns of them take 20 words, so that threads that
/// read 16 columns apart do not meet in a bank.
inline constexpr int kStripWords = kTile / 16 * 20;
__device__ inline int strip_word(int column) { return column + column / 16 * 4; }

template <Element kElement>
__device__ inline float scale_of(std::uint32_t amax, const CastTiles& cast) {
  return amax_to_scale(to_float(kElement, amax), cast.format, cast.power_of_two);
}

/// The scale of the tensor, in every thread. `warps` as for block_max.
template <Element kElement>
__device__ inline float tensor_scale(const CastTiles& cast, const TileCopy& copy,
                                     std::uint32_t* warps) {
  if (copy.scale != nullptr) {
    return copy.scale[0];
  }
  const auto* amax = static_cast<const Bits<size_of(kElement)>*>(copy.amax);
  std::uint32_t largest = 0;
  for (std::int64_t i = threadIdx.x; i < copy.parts; i += kTileThreads) {
    largest = larger(largest, amax[i]);
  }
  return scale_of<kElement>(block_max(largest, warps), cast);
}

/// Puts the scales of the strip's columns into `scales`, [kStripWords]. `write`: and their
/// reciprocals where they belong. `vectors`: 4 KiB of shared memory. Ends with a barrier.
template <Element kElement>
__device__ inline void strip_scales(const CastTiles& cast, const TileCopy& copy,
                                    std::int64_t first_column, bool write, float* scales,
                                    Bytes16* vectors) {
  constexpr int kSize = size_of(kElement);
  constexpr int kPer = kPerVector<kSize>;
  constexpr unsigned kThreadsPerPart = kTile / kPer;
  const std::int64_t column = first_column + threadIdx.x;
  const bool mine = threadIdx.x < kTile && column < cast.x.columns;
  if (copy.scale != nullptr) {
    if (mine) {
      scales[strip_word(static_cast<int>(threadIdx.x))] = copy.scale[column];
    }
    __syncthreads();
    return;
  }
  Bytes16 maxima = {};
  const std::int64_t index = first_column + threadIdx.x % kThreadsPerPart * kPer;
  for (std::int64_t part = threadIdx.x / kThreadsPerPart; part < copy.parts;
       part += kTileThreads / kThreadsPerPart) {
    raise<kSize>(maxima, load_vector<kSize, true, false>(copy.amax, part * copy.amax_ld + index,
                                                         copy.amax_ld - index));
  }
  vectors[threadIdx.x] = maxima;
  __syncthreads();
  if (mine) {
    const auto* elements = reinterpret_cast<const Bits<kSize>*>(vectors) + threadIdx.x;
    std::uint32_t largest = 0;
    for (unsigned i = 0; i < kTileThreads / kThreadsPerPart; ++i) {
      largest = larger(largest, elements[i * kTile]);
    }
    const float scale = scale_of<kElement>(largest, cast);
    scales[strip_word(static_cast<int>(threadIdx.x))] = scale;
    if (write && copy.scale_inv != nullptr) {
      copy.scale_inv[column] = 1.0F / scale;
    }
  }
  __syncthreads();
}

}  // namespace float8::kernels
