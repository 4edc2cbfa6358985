#include "kernels/quantize/cast_tiles_kernel.h"

namespace float8::kernels {

cudaError_t launch_cast_tiles_bfloat16(const CastTiles& cast, cudaStream_t stream) {
  return launch_element<Element::kBFloat16>(cast, stream);
}

}  // namespace float8::kernels
