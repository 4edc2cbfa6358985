#include "kernels/gemm/scale_product.h"

#include <algorithm>

#include "kernels/quantize/dispatch.h"
#include "kernels/quantize/narrow.h"

namespace float8::kernels {
namespace {

constexpr unsigned kThreads = 256;
constexpr std::int64_t kMaxBlocks = 132 * 8;

struct Parameters {
  const float* product;
  const float* scale_inv_a;
  const float* scale_inv_b;
  const void* bias;
  std::int64_t rows;
  std::int64_t columns;
  void* out;
};

template <bool kVectors, int kGroup>
__device__ void load_floats(const float* from, float (&to)[kGroup], bool once) {
  if constexpr (kVectors) {
    for (int i = 0; i < kGroup; i += 4) {
      const Bytes16 vector = once ? load_once(from + i) : load(from + i);
      for (int j = 0; j < 4; ++j) {
        to[i + j] = std::bit_cast<float>(vector.words[j]);
      }
    }
  } else {
    for (int i = 0; i < kGroup; ++i) {
      to[i] = from[i];
    }
  }
}

// Grid: threads stride over groups of values of one row: 8 values, 128-bit loads and stores, where
// kVectors says that rows and addresses allow it, and one by one else. No shared memory.
template <Element kElement, bool kVectors>
__global__ void __launch_bounds__(kThreads) scale_product_kernel(const Parameters p) {
  constexpr int kSize = size_of(kElement);
  constexpr int kGroup = kVectors ? 8 : 1;
  const std::int64_t per_row = p.columns / kGroup;
  const std::int64_t groups = p.rows * per_row;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < groups;
       i += stride) {
    const Place place = place_of(i, per_row, kGroup);
    float product[kGroup];
    float scale_b[kGroup];
    load_floats<kVectors>(p.product + i * kGroup, product, /*once=*/true);
    load_floats<kVectors>(p.scale_inv_b + place.column, scale_b, /*once=*/false);
    const float scale_a = p.scale_inv_a[place.row];
    std::uint32_t elements[kGroup];
    for (int j = 0; j < kGroup; ++j) {
      elements[j] = from_float<kElement>(multiply(product[j], multiply(scale_a, scale_b[j])));
    }
    if (p.bias != nullptr) {
      const auto* bias = static_cast<const Bits<kSize>*>(p.bias) + place.column;
      for (int j = 0; j < kGroup; ++j) {
        elements[j] =
            from_float<kElement>(to_float(kElement, elements[j]) + to_float(kElement, bias[j]));
      }
    }
    store_elements<kElement, kVectors>(p.out, i * kGroup, elements);
  }
}

}  // namespace

cudaError_t launch_scale_product(const float* product, const float* scale_inv_a,
                                 const float* scale_inv_b, const void* bias, std::int64_t rows,
                                 std::int64_t columns, void* out, Element element,
                                 cudaStream_t stream) {
  if (rows == 0 || columns == 0) {
    return cudaSuccess;
  }
  const bool vectors =
      columns % 8 == 0 && is_aligned16(product) && is_aligned16(scale_inv_b) && is_aligned16(out);
  const std::int64_t threads = rows * (columns / (vectors ? 8 : 1));
  const LaunchShape shape = {std::min(parts_of(threads, kThreads), kMaxBlocks), kThreads};
  const Parameters parameters = {product, scale_inv_a, scale_inv_b, bias, rows, columns, out};
  return with_element(element, [&](auto type) {
    return with_bool(vectors, [&](auto by_vectors) {
      return launch(scale_product_kernel<type(), by_vectors()>, shape, stream, parameters);
    });
  });
}

}  // namespace float8::kernels
