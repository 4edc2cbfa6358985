#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>

#include "src/ops/cpu/tensors.h"

// Writing a transposed copy, tile by tile. What sets the pace is memory, so the tiles are made for
// it: a tile's codes stay in the second-level cache, a column of it is several whole cache lines
// of the output, and the rows of the input are asked for ahead of time, for a processor's own
// prefetcher restarts on each short row.
namespace float8::cpu {

inline constexpr std::int64_t kTile = 256;

/// The distance of a tile's rows in the buffer: not a power of two, which would put the rows that
/// are transposed together into the same few sets of the cache.
inline constexpr std::int64_t kTileStride = kTile + kCacheLine;

/// Writes out [K, ld], whole, padding included, from in [M, K] (contiguous): row_codes(r, c, n,
/// codes) gives the FP8 codes of in[r, c .. c + n], for every part of in once, from many threads.
template <class RowCodes>
void write_transposed(const at::Tensor& in, const at::Tensor& out, const RowCodes& row_codes) {
  constexpr std::int64_t kRowsAhead = 16;
  const std::int64_t m = in.size(0);
  const std::int64_t k = in.size(1);
  const std::int64_t ld = out.size(1);
  const std::int64_t size = in.element_size();
  const auto* source = static_cast<const std::byte*>(in.const_data_ptr());
  std::uint8_t* target = bytes_of(out);
  const bool stream = streams(out);
  // Tiles of one column follow each other: a thread then writes whole rows of the copy.
  const std::int64_t row_tiles = (m + kTile - 1) / kTile;
  const std::int64_t tiles = row_tiles * ((k + kTile - 1) / kTile);
  at::parallel_for(0, tiles, grain(kTile * kTile), [&](std::int64_t begin, std::int64_t end) {
    alignas(kCacheLine) std::uint8_t codes[kTile * kTileStride];
    for (std::int64_t tile = begin; tile < end; ++tile) {
      const std::int64_t r0 = tile % row_tiles * kTile;
      const std::int64_t c0 = tile / row_tiles * kTile;
      const std::int64_t rows = std::min(kTile, m - r0);
      const std::int64_t columns = std::min(kTile, k - c0);
      for (std::int64_t r = 0; r < rows; ++r) {
        if (r0 + r + kRowsAhead < m) {
          prefetch(source + ((r0 + r + kRowsAhead) * k + c0) * size, columns * size);
        }
        row_codes(r0 + r, c0, columns, codes + r * kTileStride);
      }
      std::uint8_t* corner = target + c0 * ld + r0;
      loops().transpose(codes, kTileStride, rows, columns, corner, ld, stream);
      for (std::int64_t c = 0; c < columns && r0 + rows == m && ld > m; ++c) {
        std::memset(corner + c * ld + rows, 0, ld - m);
      }
    }
    finish_streaming();
  });
}

}  // namespace float8::cpu
