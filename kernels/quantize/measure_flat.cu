#include <algorithm>

#include "kernels/device.h"
#include "kernels/quantize/dispatch.h"
#include "kernels/quantize/magnitude.h"
#include "kernels/quantize/measure.h"

namespace float8::kernels {
namespace {

constexpr unsigned kThreads = 256;
// Eight blocks for each multiprocessor of an H100, nearly; every block of the second launch reads
// one value of each.
constexpr std::int64_t kMaxBlocks = 1024;
constexpr int kAtOnce = 4;

// Grid: all threads stride over x's 128-bit vectors, so that time follows addresses and L2 ends
// with x's end. Any alignment of elements. Shared: 32 words.
template <int kSize>
__global__ void __launch_bounds__(kThreads)
    amax_flat_kernel(const void* x, std::int64_t n, void* amax) {
  constexpr int kPer = kPerVector<kSize>;
  const std::int64_t to_boundary = (16 - reinterpret_cast<std::uintptr_t>(x) % 16) % 16 / kSize;
  const std::int64_t head = to_boundary < n ? to_boundary : n;
  const std::int64_t vectors = (n - head) / kPer;
  const std::int64_t tail = head + vectors * kPer;
  const std::int64_t thread = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kThreads;

  Bytes16 maxima = {};
  std::int64_t i = thread;
  for (; i + (kAtOnce - 1) * stride < vectors; i += kAtOnce * stride) {
    Bytes16 values[kAtOnce];
    for (int j = 0; j < kAtOnce; ++j) {
      values[j] =
          load_vector<kSize, true, false>(x, head + (i + j * stride) * kPer, std::int64_t{kPer});
    }
    for (int j = 0; j < kAtOnce; ++j) {
      raise<kSize>(maxima, magnitudes_of<kSize>(values[j]));
    }
  }
  for (; i < vectors; i += stride) {
    const Bytes16 value = load_vector<kSize, true, false>(x, head + i * kPer, std::int64_t{kPer});
    raise<kSize>(maxima, magnitudes_of<kSize>(value));
  }
  // Fewer than kPer elements before the first boundary and after the last one.
  const auto* elements = static_cast<const Bits<kSize>*>(x);
  if (thread < head) {
    maxima.words[0] =
        larger_magnitudes<kSize>(maxima.words[0], elements[thread] & kMagnitudeBits<kSize>);
  }
  if (thread < n - tail) {
    maxima.words[0] =
        larger_magnitudes<kSize>(maxima.words[0], elements[tail + thread] & kMagnitudeBits<kSize>);
  }
  auto* warps = reinterpret_cast<std::uint32_t*>(dynamic_shared());
  const std::uint32_t largest = block_max(largest_of<kSize>(maxima), warps);
  if (threadIdx.x == 0) {
    static_cast<Bits<kSize>*>(amax)[blockIdx.x] = static_cast<Bits<kSize>>(largest);
  }
}

}  // namespace

std::int64_t flat_blocks(const Matrix& x) {
  const std::int64_t vectors = x.rows * x.columns * size_of(x.element) / 16;
  return std::clamp<std::int64_t>(parts_of(vectors, kThreads * kAtOnce), 1, kMaxBlocks);
}

cudaError_t launch_measure_flat(const Matrix& x, void* amax, cudaStream_t stream) {
  const LaunchShape shape = {flat_blocks(x), kThreads, kWarpSize * sizeof(std::uint32_t)};
  const std::int64_t n = x.rows * x.columns;
  return size_of(x.element) == 2 ? launch(amax_flat_kernel<2>, shape, stream, x.data, n, amax)
                                 : launch(amax_flat_kernel<4>, shape, stream, x.data, n, amax);
}

}  // namespace float8::kernels
