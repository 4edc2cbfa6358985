#include "kernels/quantize/quantize.h"

#include <algorithm>

#include "kernels/quantize/cast_tiles.h"
#include "kernels/quantize/measure.h"
#include "kernels/quantize/quantize_rows.h"

namespace float8::kernels {
namespace {

constexpr std::int64_t to16(std::int64_t bytes) { return (bytes + 15) / 16 * 16; }

// What each launch does, and where in the scratch memory the first one leaves its results.
struct Plan {
  explicit Plan(const Quantization& q)
      : straight(q.straight.data != nullptr),
        transposed(q.transposed.data != nullptr),
        rows(straight && q.straight.granularity == Granularity::kRow),
        columns(transposed && q.transposed.granularity == Granularity::kColumn),
        tensor((straight && !rows) || (transposed && !columns)),
        one_launch(rows && !transposed && can_quantize_rows(q.x)),
        tensor_parts(q.amax != nullptr ? 1 : 0) {
    if (one_launch || !(straight || transposed) || q.amax != nullptr) {
      return;
    }
    const std::int64_t size = size_of(q.x.element);
    if (rows || columns) {
      shape = measure_shape(q.x, rows);
      tensor_parts = tensor ? std::max<std::int64_t>(shape.blocks(), 1) : 0;
      column_ld = to16(q.x.columns * size) / size;
    } else {
      tensor_parts = flat_blocks(q.x);
    }
    columns_offset = to16(tensor_parts * size);
    rows_offset = columns_offset + (columns ? shape.chunks * column_ld * size : 0);
    bytes = rows_offset + (rows ? to16(q.x.rows * std::int64_t{sizeof(float)}) : 0);
  }

  bool straight;
  bool transposed;
  bool rows;
  bool columns;
  bool tensor;
  bool one_launch;
  std::int64_t tensor_parts;  // at the scratch memory's start, unless the amax is given
  MeasureShape shape = {};
  std::int64_t column_ld = 0;
  std::int64_t columns_offset = 0;
  std::int64_t rows_offset = 0;
  std::int64_t bytes = 0;
};

cudaError_t measure(const Quantization& q, const Plan& plan, std::uint8_t* scratch,
                    cudaStream_t stream) {
  if (!plan.rows && !plan.columns) {
    return launch_measure_flat(q.x, scratch, stream);
  }
  Measurement m = {q.x, q.x.columns};
  m.format = q.format;
  m.power_of_two = q.power_of_two;
  m.tensor_amax = plan.tensor ? scratch : nullptr;
  m.column_amax = plan.columns ? scratch + plan.columns_offset : nullptr;
  m.column_ld = plan.column_ld;
  if (plan.rows) {
    m.row_scale = reinterpret_cast<float*>(scratch + plan.rows_offset);
    m.row_scale_inv = q.straight.scale_inv;
  }
  return launch_measure(m, stream);
}

}  // namespace

std::size_t quantize_scratch_bytes(const Quantization& quantization) {
  return static_cast<std::size_t>(Plan(quantization).bytes);
}

cudaError_t launch_quantize(const Quantization& q, void* scratch_any, cudaStream_t stream) {
  const Plan plan(q);
  if (!plan.straight && !plan.transposed) {
    return cudaSuccess;
  }
  if ((plan.straight && q.straight.granularity == Granularity::kColumn) ||
      (plan.transposed && q.transposed.granularity == Granularity::kRow)) {
    return cudaErrorInvalidValue;
  }
  if (q.amax != nullptr && (plan.rows || plan.columns)) {
    return cudaErrorInvalidValue;
  }
  if (plan.one_launch) {
    return launch_quantize_rows(q.x, q.format, q.power_of_two, q.straight.data,
                                q.straight.scale_inv, stream);
  }
  auto* scratch = static_cast<std::uint8_t*>(scratch_any);
  if (q.amax == nullptr) {
    const cudaError_t status = measure(q, plan, scratch, stream);
    if (status != cudaSuccess) {
      return status;
    }
  }
  CastTiles cast = {q.x, q.format, q.power_of_two};
  const auto copy = [&](const QuantizedCopy& wanted) {
    TileCopy result = {wanted.data, wanted.granularity};
    switch (wanted.granularity) {
      case Granularity::kTensor:
        result.amax = q.amax != nullptr ? q.amax : scratch;
        result.parts = plan.tensor_parts;
        break;
      case Granularity::kRow:
        result.scale = reinterpret_cast<const float*>(scratch + plan.rows_offset);
        return result;  // the first launch has written scale_inv
      case Granularity::kColumn:
        result.amax = scratch + plan.columns_offset;
        result.parts = plan.shape.chunks;
        result.amax_ld = plan.column_ld;
        break;
    }
    result.scale_inv = wanted.scale_inv;
    return result;
  };
  if (plan.straight) {
    cast.straight = copy(q.straight);
  }
  if (plan.transposed) {
    cast.transposed = copy(q.transposed);
  }
  return launch_cast_tiles(cast, stream);
}

}  // namespace float8::kernels
