#include "kernels/quantize/dequantize.h"

#include <algorithm>

#include "kernels/quantize/dispatch.h"
#include "kernels/quantize/narrow.h"

namespace float8::kernels {
namespace {

constexpr unsigned kThreads = 256;
constexpr std::int64_t kMaxBlocks = 132 * 8;

struct Parameters {
  const std::uint8_t* data;
  const float* scale_inv;
  Granularity granularity;
  std::int64_t rows;
  std::int64_t columns;
  void* out;
};

// Grid: threads stride over groups of codes of one row: 16 codes, a 128-bit load, where kVectors
// says that rows and addresses allow it, and one by one else. No shared memory.
template <Format kFormat, Element kElement, bool kVectors>
__global__ void __launch_bounds__(kThreads) dequantize_kernel(const Parameters p) {
  constexpr int kGroup = kVectors ? 16 : 1;
  const std::int64_t per_row = p.columns / kGroup;
  const std::int64_t groups = p.rows * per_row;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < groups;
       i += stride) {
    const Place place = place_of(i, per_row, kGroup);
    const bool by_column = p.granularity == Granularity::kColumn;
    const std::int64_t first_scale = by_column                            ? place.column
                                     : p.granularity == Granularity::kRow ? place.row
                                                                          : 0;
    const float* scales = p.scale_inv + first_scale;
    std::uint32_t elements[kGroup];
    if constexpr (kVectors) {
      const Bytes16 codes = load_once(p.data + i * kGroup);
      for (int j = 0; j < kGroup; j += 2) {
        float low;
        float high;
        decode_pair<kFormat>(static_cast<std::uint16_t>(codes.words[j / 4] >> (8 * (j % 4))), low,
                             high);
        elements[j] = from_float<kElement>(multiply(low, scales[by_column ? j : 0]));
        elements[j + 1] = from_float<kElement>(multiply(high, scales[by_column ? j + 1 : 0]));
      }
    } else {
      elements[0] = from_float<kElement>(multiply(decode<kFormat>(p.data[i]), scales[0]));
    }
    store_elements<kElement, kVectors>(p.out, i * kGroup, elements);
  }
}

}  // namespace

cudaError_t launch_dequantize(const std::uint8_t* data, Format format, const float* scale_inv,
                              Granularity granularity, std::int64_t rows, std::int64_t columns,
                              void* out, Element element, cudaStream_t stream) {
  if (rows == 0 || columns == 0) {
    return cudaSuccess;
  }
  const bool vectors = columns % 16 == 0 && is_aligned16(data) && is_aligned16(out);
  const std::int64_t threads = rows * (columns / (vectors ? 16 : 1));
  const LaunchShape shape = {std::min(parts_of(threads, kThreads), kMaxBlocks), kThreads};
  const Parameters parameters = {data, scale_inv, granularity, rows, columns, out};
  return with_format(format, [&](auto fp8) {
    return with_element(element, [&](auto type) {
      return with_bool(vectors, [&](auto by_vectors) {
        return launch(dequantize_kernel<fp8(), type(), by_vectors()>, shape, stream, parameters);
      });
    });
  });
}

}  // namespace float8::kernels
