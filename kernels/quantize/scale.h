#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "float8/format.h"

namespace float8::kernels {

/// scale[i] = amax_to_scale(amax[i], format, power_of_two) for n values in device memory (see
/// float8/scaling.h). `scale` may be `amax`. Asynchronous on `stream`; n = 0 launches nothing.
/// Returns the launch's status.
cudaError_t launch_amax_to_scale(const float* amax, float* scale, std::int64_t n, Format format,
                                 bool power_of_two, cudaStream_t stream);

}  // namespace float8::kernels
