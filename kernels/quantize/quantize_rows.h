#pragma once

#include <cuda_runtime_api.h>

#include "kernels/quantize/quantize.h"

namespace float8::kernels {

/// Whether a row of x fits the registers of one block.
bool can_quantize_rows(const Matrix& x);

/// The straight copy with a scale for each row, in one launch that reads x once.
cudaError_t launch_quantize_rows(const Matrix& x, Format format, bool power_of_two,
                                 std::uint8_t* data, float* scale_inv, cudaStream_t stream);

}  // namespace float8::kernels
