#include "kernels/quantize/measure.h"

#include <algorithm>

#include "float8/scaling.h"
#include "kernels/device.h"
#include "kernels/quantize/dispatch.h"
#include "kernels/quantize/magnitude.h"

namespace float8::kernels {
namespace {

constexpr unsigned kMaxThreads = 1024;
// Loads that a thread has under way: 64 KiB for each multiprocessor, where 20 KiB would do for
// 3.3 TB/s at 800 ns.
constexpr int kRowsAtOnce = 4;
// An H100's multiprocessors. Other GPUs take as many blocks in another number of waves.
constexpr std::int64_t kMultiprocessors = 132;
constexpr std::int64_t kMaxRowsPerBlock = 2048;  // 8 KiB of shared memory

struct Parameters {
  Measurement measurement;
  std::uint32_t strips;
  std::uint32_t chunks;
  std::uint32_t threads_per_row;
  std::uint32_t rows_per_block;
};

// The rows of the i-th group that a block visits start here. Blocks take groups in turn, so that
// time follows addresses and L2 ends with x's last rows.
__device__ std::int64_t first_row(const Parameters& p, std::int64_t i, unsigned group_rows) {
  return (i * p.chunks + blockIdx.x % p.chunks) * group_rows;
}

__device__ void finish_row(const Measurement& m, std::int64_t row, std::uint32_t bits) {
  if (m.row_amax != nullptr) {
    if (m.x.element == Element::kFloat32) {
      static_cast<std::uint32_t*>(m.row_amax)[row] = bits;
    } else {
      static_cast<std::uint16_t*>(m.row_amax)[row] = static_cast<std::uint16_t>(bits);
    }
    return;
  }
  const float scale = amax_to_scale(to_float(m.x.element, bits), m.format, m.power_of_two);
  if (m.row_scale != nullptr) {
    m.row_scale[row] = scale;
  }
  if (m.row_scale_inv != nullptr) {
    m.row_scale_inv[row] = 1.0F / scale;
  }
}

// Block: `threads_per_row` threads side by side, a vector each, make a strip of columns; the
// block's other threads take further rows. A thread keeps the maxima of its own columns in
// registers; with kRows a warp lies in one row and adds to the row's maximum in shared memory.
// Grid: strip-major (strip, chunk of rows); with kRows just chunks, whose blocks walk through the
// strips. Shared: a vector for each thread, a word for each row of the block, 32 words.
template <int kSize, bool kRows, bool kAligned>
__global__ void __launch_bounds__(kMaxThreads) measure_kernel(const Parameters p) {
  constexpr int kPer = kPerVector<kSize>;
  const Measurement& m = p.measurement;
  const Matrix& x = m.x;
  auto* vectors = reinterpret_cast<Bytes16*>(dynamic_shared());
  auto* row_maxima = reinterpret_cast<std::uint32_t*>(vectors + blockDim.x);
  std::uint32_t* warps = row_maxima + p.rows_per_block;

  const unsigned lanes = blockDim.x / p.threads_per_row;
  const unsigned lane = threadIdx.x / p.threads_per_row;
  const unsigned in_row = threadIdx.x % p.threads_per_row;
  const unsigned group_rows = lanes * kRowsAtOnce;
  if constexpr (kRows) {
    for (unsigned i = threadIdx.x; i < p.rows_per_block; i += blockDim.x) {
      row_maxima[i] = 0;
    }
    __syncthreads();
  }

  std::uint32_t tensor = 0;
  for (std::uint32_t strip = blockIdx.x / p.chunks; strip < p.strips;
       strip += gridDim.x / p.chunks) {
    const std::int64_t column =
        (static_cast<std::int64_t>(strip) * p.threads_per_row + in_row) * kPer;
    Bytes16 maxima = {};
    std::uint32_t* group = row_maxima;
    for (std::int64_t i = 0, first = first_row(p, 0, group_rows); first < x.rows;
         first = first_row(p, ++i, group_rows), group += group_rows) {
      Bytes16 values[kRowsAtOnce];
      for (unsigned j = 0; j < kRowsAtOnce; ++j) {
        const std::int64_t row = first + lane + j * lanes;
        const std::int64_t count = row < x.rows ? x.columns - column : 0;
        values[j] = load_vector<kSize, kAligned, false>(x.data, row * m.ld + column, count);
      }
      for (unsigned j = 0; j < kRowsAtOnce; ++j) {
        const Bytes16 magnitudes = magnitudes_of<kSize>(values[j]);
        raise<kSize>(maxima, magnitudes);
        if constexpr (kRows) {
          const std::uint32_t of_warp = warp_max(largest_of<kSize>(magnitudes));
          if (threadIdx.x % kWarpSize == 0) {
            atomic_max(&group[lane + j * lanes], of_warp);
          }
        }
      }
    }
    tensor = larger(tensor, largest_of<kSize>(maxima));
    if (m.column_amax == nullptr) {
      continue;
    }
    if (lanes > 1) {  // then there is one strip for this block, and `vectors` has one use
      vectors[threadIdx.x] = maxima;
      __syncthreads();
      for (unsigned i = threadIdx.x + p.threads_per_row; lane == 0 && i < blockDim.x;
           i += p.threads_per_row) {
        raise<kSize>(maxima, vectors[i]);
      }
    }
    if (lane == 0) {
      const std::int64_t chunk = blockIdx.x % p.chunks;
      store_vector<kSize>(static_cast<Bits<kSize>*>(m.column_amax) + chunk * m.column_ld, column,
                          m.column_ld, maxima);
    }
  }

  if (m.tensor_amax != nullptr) {
    const std::uint32_t largest = block_max(tensor, warps);
    if (threadIdx.x == 0) {
      static_cast<Bits<kSize>*>(m.tensor_amax)[blockIdx.x] = static_cast<Bits<kSize>>(largest);
    }
  }
  if constexpr (kRows) {
    __syncthreads();
    for (unsigned i = threadIdx.x; i < p.rows_per_block; i += blockDim.x) {
      const std::int64_t row = first_row(p, i / group_rows, group_rows) + i % group_rows;
      if (row < x.rows) {
        finish_row(m, row, row_maxima[i]);
      }
    }
  }
}

// The smallest power of two that is not below n, within [least, most].
unsigned power_of_two_for(std::int64_t n, unsigned least, unsigned most) {
  unsigned result = least;
  while (result < most && result < n) {
    result *= 2;
  }
  return result;
}

}  // namespace

MeasureShape measure_shape(const Matrix& x, bool row_results, bool one_chunk) {
  const std::int64_t vectors = parts_of(x.columns * size_of(x.element), 16);
  MeasureShape shape = {};
  shape.row_results = row_results;
  // Row results need all columns in a block, which is then a whole multiprocessor's work: the fewer
  // chunks, the fewer maxima for the second launch. Else narrow strips do that.
  shape.threads = row_results ? kMaxThreads : kMaxThreads / 4;
  shape.threads_per_row =
      power_of_two_for(vectors, row_results ? kWarpSize : 1, row_results ? kMaxThreads : kWarpSize);
  shape.strips = parts_of(vectors, shape.threads_per_row);
  std::int64_t most_chunks = kMultiprocessors;
  if (!row_results) {
    while (shape.threads < kMaxThreads &&
           shape.strips * shape.threads < std::int64_t{kMaxThreads}) {
      shape.threads *= 2;
    }
    const std::int64_t blocks = kMultiprocessors * (kMaxThreads / shape.threads);
    most_chunks = blocks / std::clamp<std::int64_t>(shape.strips, 1, blocks);
  }
  const std::int64_t group_rows = shape.threads / shape.threads_per_row * kRowsAtOnce;
  const std::int64_t groups = parts_of(x.rows, group_rows);
  if (row_results) {
    most_chunks = std::max(most_chunks, parts_of(groups, kMaxRowsPerBlock / group_rows));
  }
  shape.chunks = std::clamp<std::int64_t>(groups, 1, one_chunk ? 1 : most_chunks);
  shape.rows_per_block = parts_of(groups, shape.chunks) * group_rows;
  return shape;
}

cudaError_t launch_measure(const Measurement& m, cudaStream_t stream) {
  const bool rows = m.row_results();
  const MeasureShape shape = measure_shape(m.x, rows, m.one_chunk);
  const std::int64_t row_words = rows ? shape.rows_per_block : 0;
  const Parameters parameters = {m, static_cast<std::uint32_t>(shape.strips),
                                 static_cast<std::uint32_t>(shape.chunks), shape.threads_per_row,
                                 static_cast<std::uint32_t>(row_words)};
  const LaunchShape launch_shape = {
      std::max<std::int64_t>(shape.blocks(), 1), shape.threads,
      shape.threads * sizeof(Bytes16) +
          static_cast<std::size_t>(row_words + kWarpSize) * sizeof(std::uint32_t)};
  const std::int64_t size = size_of(m.x.element);
  const bool aligned = is_aligned16(m.x.data) && m.ld * size % 16 == 0;
  return with_bool(rows, [&](auto row_results) {
    return with_bool(aligned, [&](auto is_aligned) {
      return size == 2 ? launch(measure_kernel<2, row_results(), is_aligned()>, launch_shape,
                                stream, parameters)
                       : launch(measure_kernel<4, row_results(), is_aligned()>, launch_shape,
                                stream, parameters);
    });
  });
}

}  // namespace float8::kernels
