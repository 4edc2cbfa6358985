#pragma once

#include <cuda_runtime_api.h>

#include "float8/format.h"
#include "kernels/quantize/matrix.h"

namespace float8::kernels {

/// An FP8 copy to be made, in device memory, and the scales that come with it. data: 16-byte
/// aligned, rows padded with zeros (padded()); null where the copy is not wanted.
struct QuantizedCopy {
  std::uint8_t* data = nullptr;
  float* scale_inv = nullptr;  ///< [scales_of(x, granularity)], 1 / scale; null: not written
  Granularity granularity = Granularity::kTensor;
};

/// Dynamic scaling of x [M, K], bit for bit as float8/scaling.h and float8/format.h say: amax, its
/// scale, the cast. In at most two launches: the first reads x for the amax, the second casts. A
/// straight copy by rows alone takes one, which reads x once, where a row has at most 32768
/// elements of 16 bits or 16384 of float32.
struct Quantization {
  Matrix x;
  Format format;
  bool power_of_two;
  QuantizedCopy straight;    ///< [M, padded(K)]; one scale for the tensor or for each row
  QuantizedCopy transposed;  ///< [K, padded(M)]; one scale for the tensor or for each column of x
  /// max|x| in device memory, of x's element type, where it is known already: the first launch is
  /// left out. Each copy then has one scale for the tensor.
  const void* amax = nullptr;
};

/// Bytes of device memory, 16-byte aligned, that launch_quantize needs until it is done; may be 0.
std::size_t quantize_scratch_bytes(const Quantization& quantization);

/// Asynchronous on `stream`, no host synchronisation, capturable. With both copies under one
/// granularity kTensor both scale_inv are written. An empty x gives the scale of amax 0. Returns
/// the status of the first launch that failed.
cudaError_t launch_quantize(const Quantization& quantization, void* scratch, cudaStream_t stream);

}  // namespace float8::kernels
