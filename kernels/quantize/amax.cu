#include "kernels/quantize/amax.h"

#include "kernels/quantize/dispatch.h"
#include "kernels/quantize/measure.h"

namespace float8::kernels {
namespace {

// The columns' maxima of one chunk are a row of a matrix whose columns' maxima are the result.
std::int64_t ld_of(const Matrix& x) {
  const std::int64_t per_vector = 16 / size_of(x.element);
  return parts_of(x.columns, per_vector) * per_vector;
}

cudaError_t measure_columns(const Matrix& x, void* out, void* scratch, cudaStream_t stream) {
  const std::int64_t chunks = measure_shape(x, /*row_results=*/false).chunks;
  Measurement first = {x, x.columns};
  first.column_amax = chunks == 1 ? out : scratch;
  first.column_ld = chunks == 1 ? x.columns : ld_of(x);
  const cudaError_t status = launch_measure(first, stream);
  if (status != cudaSuccess || chunks == 1) {
    return status;
  }
  Measurement second = {{scratch, x.element, chunks, x.columns}, ld_of(x)};
  second.one_chunk = true;
  second.column_amax = out;
  second.column_ld = x.columns;
  return launch_measure(second, stream);
}

}  // namespace

std::size_t amax_scratch_bytes(const Matrix& x, Granularity granularity) {
  const auto bytes = [&](std::int64_t elements) {
    return static_cast<std::size_t>(elements * size_of(x.element) + 15) / 16 * 16;
  };
  if (granularity == Granularity::kRow) {
    return 0;
  }
  const std::int64_t parts = granularity == Granularity::kTensor
                                 ? flat_blocks(x)
                                 : measure_shape(x, /*row_results=*/false).chunks;
  return parts == 1 ? 0 : bytes(parts * (granularity == Granularity::kTensor ? 1 : ld_of(x)));
}

cudaError_t launch_amax(const Matrix& x, Granularity granularity, void* out, void* scratch,
                        cudaStream_t stream) {
  if (scales_of(x, granularity) == 0) {
    return cudaSuccess;
  }
  if (granularity == Granularity::kRow) {
    Measurement rows = {x, x.columns};
    rows.row_amax = out;
    return launch_measure(rows, stream);
  }
  if (granularity == Granularity::kColumn) {
    return measure_columns(x, out, scratch, stream);
  }
  const std::int64_t parts = flat_blocks(x);
  const cudaError_t status = launch_measure_flat(x, parts == 1 ? out : scratch, stream);
  if (status != cudaSuccess || parts == 1) {
    return status;
  }
  return launch_measure_flat({scratch, x.element, 1, parts}, out, stream);
}

}  // namespace float8::kernels
