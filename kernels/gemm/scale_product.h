#pragma once

#include <cuda_runtime_api.h>

#include "kernels/quantize/matrix.h"

namespace float8::kernels {

/// out[r, c] = round(product[r, c] * (scale_inv_a[r] * scale_inv_b[c])) in `element`, then, where
/// bias is not null, + bias[c] of that type, rounded again. product: float32 [rows, columns],
/// contiguous, as is out. It gives a GEMM scales for its rows and columns where the GEMM itself
/// can't. One launch, asynchronous on `stream`.
cudaError_t launch_scale_product(const float* product, const float* scale_inv_a,
                                 const float* scale_inv_b, const void* bias, std::int64_t rows,
                                 std::int64_t columns, void* out, Element element,
                                 cudaStream_t stream);

}  // namespace float8::kernels
