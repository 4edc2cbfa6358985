#include "kernels/quantize/cast_tiles_kernel.h"

namespace float8::kernels {

cudaError_t launch_cast_tiles_float16(const CastTiles& cast, cudaStream_t stream) {
  return launch_element<Element::kFloat16>(cast, stream);
}

}  // namespace float8::kernels
