#include "kernels/quantize/cast.h"

#include "kernels/quantize/cast_tiles.h"

namespace float8::kernels {

cudaError_t launch_cast(const Matrix& x, const float* scale, Granularity granularity, Format format,
                        std::uint8_t* straight, std::uint8_t* transposed, cudaStream_t stream) {
  if (x.rows == 0 || x.columns == 0) {
    return cudaSuccess;
  }
  CastTiles cast = {x, format};
  cast.straight = {straight, granularity, scale};
  cast.transposed = {transposed, granularity, scale};
  return launch_cast_tiles(cast, stream);
}

}  // namespace float8::kernels
