#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace float8::kernels {

/// FP8 data [rows, columns], contiguous, transposed: out [columns, padded(rows)], 16-byte aligned,
/// padding (zeros) included. One launch, asynchronous on `stream`.
cudaError_t launch_transpose(const std::uint8_t* data, std::int64_t rows, std::int64_t columns,
                             std::uint8_t* out, cudaStream_t stream);

}  // namespace float8::kernels
