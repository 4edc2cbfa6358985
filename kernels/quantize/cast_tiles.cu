#include "kernels/quantize/cast_tiles.h"

namespace float8::kernels {

cudaError_t launch_cast_tiles(const CastTiles& cast, cudaStream_t stream) {
  switch (cast.x.element) {
    case Element::kFloat32:
      return launch_cast_tiles_float32(cast, stream);
    case Element::kBFloat16:
      return launch_cast_tiles_bfloat16(cast, stream);
    default:
      return launch_cast_tiles_float16(cast, stream);
  }
}

}  // namespace float8::kernels
