#include "kernels/quantize/transpose.h"

#include <algorithm>

#include "kernels/quantize/dispatch.h"
#include "kernels/quantize/element.h"
#include "kernels/quantize/tile.h"

namespace float8::kernels {
namespace {

struct Parameters {
  const std::uint8_t* data;
  std::int64_t rows;
  std::int64_t columns;
  std::uint8_t* out;
  std::uint32_t strips;
};

template <bool kAligned>
__device__ Bytes16 load_codes(const std::uint8_t* data, std::int64_t count) {
  Bytes16 codes = {};
  if constexpr (kAligned) {
    if (count > 0) {
      codes = load_once(data);
    }
  } else {
    for (int i = 0; i < 16; ++i) {
      if (i < count) {
        codes.words[i / 4] |= static_cast<std::uint32_t>(data[i]) << (8 * (i % 4));
      }
    }
  }
  return codes;
}

// Grid: one tile for each block, columns fastest. See tile.h for how a block transposes. Rows are
// 16-byte aligned, or kAligned is false. Shared: a tile.
template <bool kAligned>
__global__ void __launch_bounds__(kTileThreads) transpose_kernel(const Parameters p) {
  auto* tile = reinterpret_cast<std::uint32_t*>(dynamic_shared());
  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.x / p.strips) * kTile;
  const std::int64_t first_column = static_cast<std::int64_t>(blockIdx.x % p.strips) * kTile;
  const std::int64_t row = first_row + tile_row();
  const std::int64_t column = first_column + tile_column();
  Bytes16 codes[4];
  for (int i = 0; i < 4; ++i) {
    const std::int64_t count = row + i < p.rows ? p.columns - column : 0;
    codes[i] = load_codes<kAligned>(p.data + (row + i) * p.columns + column, count);
  }
  for (int group = 0; group < 4; ++group) {
    std::uint32_t words[4] = {codes[0].words[group], codes[1].words[group], codes[2].words[group],
                              codes[3].words[group]};
    transpose_words(words);
    put_words(tile, group, words);
  }
  __syncthreads();
  store_transposed(tile, first_row, first_column, p.columns, p.out, padded(p.rows));
}

}  // namespace

cudaError_t launch_transpose(const std::uint8_t* data, std::int64_t rows, std::int64_t columns,
                             std::uint8_t* out, cudaStream_t stream) {
  if (rows == 0 || columns == 0) {
    return cudaSuccess;
  }
  const std::int64_t strips = parts_of(columns, kTile);
  const LaunchShape shape = {strips * parts_of(rows, kTile), kTileThreads, kTileSharedBytes / 2};
  const Parameters parameters = {data, rows, columns, out, static_cast<std::uint32_t>(strips)};
  const bool aligned = is_aligned16(data) && columns % 16 == 0;
  return aligned ? launch(transpose_kernel<true>, shape, stream, parameters)
                 : launch(transpose_kernel<false>, shape, stream, parameters);
}

}  // namespace float8::kernels
