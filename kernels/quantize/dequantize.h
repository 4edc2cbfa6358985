#pragma once

#include <cuda_runtime_api.h>

#include "float8/format.h"
#include "kernels/quantize/matrix.h"

namespace float8::kernels {

/// out[rows, columns] = round(float(data) * scale_inv), in `element`. data: FP8 [rows, columns],
/// contiguous; scale_inv: [1], [rows] or [columns] as `granularity` says. One launch, asynchronous
/// on `stream`.
cudaError_t launch_dequantize(const std::uint8_t* data, Format format, const float* scale_inv,
                              Granularity granularity, std::int64_t rows, std::int64_t columns,
                              void* out, Element element, cudaStream_t stream);

}  // namespace float8::kernels
