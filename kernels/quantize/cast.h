#pragma once

#include <cuda_runtime_api.h>

#include "float8/format.h"
#include "kernels/quantize/matrix.h"

namespace float8::kernels {

/// out = encode(float(x) * scale), for scales in device memory, [scales_of(x, granularity)].
/// straight [M, padded(K)] or transposed [K, padded(M)]: exactly one is not null; it is 16-byte
/// aligned and written whole, padding (zeros) included. One launch, asynchronous on `stream`.
cudaError_t launch_cast(const Matrix& x, const float* scale, Granularity granularity, Format format,
                        std::uint8_t* straight, std::uint8_t* transposed, cudaStream_t stream);

}  // namespace float8::kernels
