#pragma once

#include <cuda_runtime_api.h>

#include "float8/format.h"
#include "kernels/quantize/matrix.h"

// The first launch of a quantization reads x once and leaves largest magnitudes: of the blocks'
// parts of the tensor and of the columns, for the second launch to finish, and whole ones of rows.
// A magnitude is an element of x without its sign.
namespace float8::kernels {

/// The launch that measures x as one vector.
std::int64_t flat_blocks(const Matrix& x);

/// amax[block], for flat_blocks(x) blocks, of x's element type.
cudaError_t launch_measure_flat(const Matrix& x, void* amax, cudaStream_t stream);

/// How blocks lie over x: `chunks` blocks share a strip of columns, each with some of its rows.
struct MeasureShape {
  std::int64_t strips;  ///< with row results each block walks through all strips, else one has one
  std::int64_t chunks;
  unsigned threads;
  unsigned threads_per_row;
  std::int64_t rows_per_block;  ///< at most
  bool row_results;

  [[nodiscard]] std::int64_t blocks() const { return row_results ? chunks : strips * chunks; }
};
/// one_chunk: the maxima of columns are to be whole.
MeasureShape measure_shape(const Matrix& x, bool row_results, bool one_chunk = false);

/// What is measured; a null pointer is not wanted.
struct Measurement {
  Matrix x;
  std::int64_t ld;              ///< elements from a row of x to the next
  void* tensor_amax = nullptr;  ///< [blocks()], of x's element type
  void* column_amax = nullptr;  ///< [chunks][column_ld], of x's element type
  std::int64_t column_ld = 0;
  bool one_chunk = false;
  void* row_amax = nullptr;  ///< [rows], of x's element type
  /// The scale of each row and its reciprocal, [rows].
  float* row_scale = nullptr;
  float* row_scale_inv = nullptr;
  Format format = Format::kE4M3;
  bool power_of_two = false;

  [[nodiscard]] bool row_results() const {
    return row_amax != nullptr || row_scale != nullptr || row_scale_inv != nullptr;
  }
};

/// One launch, shaped as measure_shape(x, row_results(), one_chunk) says.
cudaError_t launch_measure(const Measurement& measurement, cudaStream_t stream);

}  // namespace float8::kernels
