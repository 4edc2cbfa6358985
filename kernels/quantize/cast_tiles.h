#pragma once

#include <cuda_runtime_api.h>

#include "float8/format.h"
#include "kernels/quantize/matrix.h"

// The launch that reads x and writes FP8 copies, one or both, under scales that are given or that
// follow from the maxima of an earlier launch.
namespace float8::kernels {

/// A copy to write (data null: none) and where its scales come from.
struct TileCopy {
  std::uint8_t* data = nullptr;
  Granularity granularity = Granularity::kTensor;
  const float* scale = nullptr;  ///< given; or null:
  const void* amax = nullptr;  ///< kTensor: [parts], kColumn: [parts][amax_ld], of x's element type
  std::int64_t parts = 0;
  std::int64_t amax_ld = 0;    ///< whole vectors of 16 bytes
  float* scale_inv = nullptr;  ///< written where the scale follows from amax
};

struct CastTiles {
  Matrix x;
  Format format = Format::kE4M3;
  bool power_of_two = false;
  TileCopy straight = {};    ///< [M, padded(K)]; with a transposed copy not by column
  TileCopy transposed = {};  ///< [K, padded(M)]; with a straight copy not by row
  /// Both copies have the scale of the tensor: the straight one's serves both.
  [[nodiscard]] bool same_codes() const {
    return straight.data != nullptr && transposed.data != nullptr &&
           straight.granularity == Granularity::kTensor &&
           transposed.granularity == Granularity::kTensor;
  }
};

cudaError_t launch_cast_tiles(const CastTiles& cast, cudaStream_t stream);

// One source file for each element type.
cudaError_t launch_cast_tiles_float32(const CastTiles& cast, cudaStream_t stream);
cudaError_t launch_cast_tiles_bfloat16(const CastTiles& cast, cudaStream_t stream);
cudaError_t launch_cast_tiles_float16(const CastTiles& cast, cudaStream_t stream);

}  // namespace float8::kernels
