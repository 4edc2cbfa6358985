#pragma once

#include <cuda_runtime_api.h>

#include "kernels/quantize/matrix.h"

namespace float8::kernels {

/// Bytes of device memory, 16-byte aligned, that launch_amax needs until it is done; may be 0.
std::size_t amax_scratch_bytes(const Matrix& x, Granularity granularity);

/// out[i] = max|x| of each scale's values, in x's element type: NaN wins over infinity, infinity
/// over the rest; 0 where there are none. Two launches at most, asynchronous on `stream`.
cudaError_t launch_amax(const Matrix& x, Granularity granularity, void* out, void* scratch,
                        cudaStream_t stream);

}  // namespace float8::kernels
