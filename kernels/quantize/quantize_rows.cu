#include "kernels/quantize/quantize_rows.h"

#include <algorithm>

#include "kernels/quantize/dispatch.h"
#include "kernels/quantize/magnitude.h"

namespace float8::kernels {
namespace {

constexpr unsigned kMaxThreads = 512;
constexpr unsigned kUsualThreads = 256;
// What the compiler is told: at most 80 registers, so that three blocks of the usual size (96 KiB
// of loads under way) lie on a multiprocessor.
constexpr unsigned kBoundThreads = 3 * kUsualThreads;

// Units of 16 elements that a thread holds: 32 registers of data.
template <int kSize>
inline constexpr int kUnits = 8 / kSize;

constexpr std::int64_t columns_per_warp(std::int64_t size) { return kWarpSize * 16 * (8 / size); }

struct Parameters {
  Matrix x;
  std::uint8_t* data;
  float* scale_inv;
  std::uint32_t warps_per_row;
  Format format;
  bool power_of_two;
};

// Block: rows side by side, `warps_per_row` warps (a power of two) for each; a row stays in
// registers between the maximum and the cast, so that x is read once from anywhere. Grid: strides
// over rows. Shared: a word for each warp.
template <Element kElement, Format kFormat, bool kAligned>
__global__ void __launch_bounds__(kBoundThreads) quantize_rows_kernel(const Parameters p) {
  constexpr int kSize = size_of(kElement);
  auto* warps = reinterpret_cast<std::uint32_t*>(dynamic_shared());
  const unsigned lanes = p.warps_per_row * kWarpSize;
  const unsigned rows_per_block = blockDim.x / lanes;
  const unsigned lane = threadIdx.x % lanes;
  // A row is short (can_quantize_rows): what lies within it takes 32 bits, and fewer registers.
  const auto columns = static_cast<int>(p.x.columns);
  const int ld = static_cast<int>(padded(columns));

  for (std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * rows_per_block;
       first < p.x.rows; first += static_cast<std::int64_t>(gridDim.x) * rows_per_block) {
    const std::int64_t row = first + threadIdx.x / lanes;
    const bool in_x = row < p.x.rows;
    Unit<kSize> units[kUnits<kSize>];
    const auto* x = static_cast<const std::uint8_t*>(p.x.data) + row * columns * kSize;
#pragma unroll
    for (unsigned i = 0; i < kUnits<kSize>; ++i) {
      const int column = static_cast<int>(lane + i * lanes) * 16;
      units[i] = load_unit<kSize, kAligned>(x, column, in_x ? columns - column : 0);
    }
    Bytes16 maxima = {};
    for (const Unit<kSize>& unit : units) {
      for (const Bytes16& vector : unit.vectors) {
        raise<kSize>(maxima, magnitudes_of<kSize>(vector));
      }
    }
    std::uint32_t amax = warp_max(largest_of<kSize>(maxima));
    if (p.warps_per_row > 1) {
      const unsigned in_warp = threadIdx.x % kWarpSize;
      if (in_warp == 0) {
        warps[threadIdx.x / kWarpSize] = amax;
      }
      __syncthreads();
      const unsigned first_warp = threadIdx.x / lanes * p.warps_per_row;
      amax = warp_max(warps[first_warp + in_warp % p.warps_per_row]);
      __syncthreads();  // before the next row's maxima come
    }
    const float scale = amax_to_scale(to_float(kElement, amax), p.format, p.power_of_two);
    if (in_x && lane == 0 && p.scale_inv != nullptr) {
      p.scale_inv[row] = 1.0F / scale;
    }
    std::uint8_t* data = p.data + row * ld;
#pragma unroll
    for (unsigned i = 0; i < kUnits<kSize>; ++i) {
      const int column = static_cast<int>(lane + i * lanes) * 16;
      if (in_x && column < ld) {
        Bytes16 codes;
#pragma unroll
        for (int w = 0; w < 4; ++w) {
          codes.words[w] = encode_word<kFormat>(values_of<kElement>(units[i], w), all(scale));
        }
        keep_first(codes, columns - column);
        store(data + column, codes);
      }
    }
  }
}

std::int64_t warps_per_row(const Matrix& x) {
  const std::int64_t needed = parts_of(x.columns, columns_per_warp(size_of(x.element)));
  std::int64_t warps = 1;
  while (warps < needed) {
    warps *= 2;
  }
  return warps;
}

}  // namespace

bool can_quantize_rows(const Matrix& x) {
  return x.columns <= columns_per_warp(size_of(x.element)) * (kMaxThreads / kWarpSize);
}

cudaError_t launch_quantize_rows(const Matrix& x, Format format, bool power_of_two,
                                 std::uint8_t* data, float* scale_inv, cudaStream_t stream) {
  const auto warps = static_cast<unsigned>(warps_per_row(x));
  const unsigned threads = std::max(kUsualThreads, warps * kWarpSize);
  constexpr std::int64_t kMostBlocks = std::int64_t{1} << 30;
  const std::int64_t blocks = parts_of(x.rows, threads / (warps * kWarpSize));
  const LaunchShape shape = {std::clamp<std::int64_t>(blocks, 1, kMostBlocks), threads,
                             threads / kWarpSize * sizeof(std::uint32_t)};
  const Parameters parameters = {x, data, scale_inv, warps, format, power_of_two};
  return with_element(x.element, [&](auto element) {
    return with_format(format, [&](auto fp8) {
      return with_bool(has_aligned_rows(x), [&](auto aligned) {
        return launch(quantize_rows_kernel<element(), fp8(), aligned()>, shape, stream, parameters);
      });
    });
  });
}

}  // namespace float8::kernels
