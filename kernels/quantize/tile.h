#pragma once

#include <cstdint>

#include "kernels/device.h"

// How a block of 256 threads transposes a tile of 128 x 128 codes.
//
// A thread has 4 rows of 16 columns: warps read whole 128-byte lines of the straight copy. It turns
// them into words of 4 rows of one column, which go to shared memory as [128 columns][32 words];
// from there 8 threads write the 128 bytes of a column. Word w of a column lies at w ^ (column / 16
// * 4): neither the words written (8 columns 16 apart, 4 words each) nor the 16-byte pieces read (8
// of one column) meet in a bank.
namespace float8::kernels {

inline constexpr int kTile = 128;  ///< rows and columns
inline constexpr unsigned kTileThreads = 256;
inline constexpr int kTileWords = kTile * kTile / 4;
/// Two tiles, so that one barrier for each tile is enough: the next one goes to the other half.
inline constexpr std::size_t kTileSharedBytes = 2 * kTileWords * sizeof(std::uint32_t);

/// Where a thread's 4 x 16 codes lie in a tile.
__device__ inline int tile_row() { return static_cast<int>(threadIdx.x) / 8 * 4; }
__device__ inline int tile_column() { return static_cast<int>(threadIdx.x) % 8 * 16; }

/// words[i] holds 4 columns of row i; after it 4 rows of column i.
__device__ inline void transpose_words(std::uint32_t (&words)[4]) {
  const std::uint32_t ab01 = select_bytes(words[0], words[1], 0x5140);
  const std::uint32_t ab23 = select_bytes(words[0], words[1], 0x7362);
  const std::uint32_t cd01 = select_bytes(words[2], words[3], 0x5140);
  const std::uint32_t cd23 = select_bytes(words[2], words[3], 0x7362);
  words[0] = select_bytes(ab01, cd01, 0x5410);
  words[1] = select_bytes(ab01, cd01, 0x7632);
  words[2] = select_bytes(ab23, cd23, 0x5410);
  words[3] = select_bytes(ab23, cd23, 0x7632);
}

/// Puts words of 4 rows in their place: those of the thread's columns [4 group, 4 group + 4).
__device__ inline void put_words(std::uint32_t* tile, int group, const std::uint32_t (&words)[4]) {
  const int column = tile_column();
  const int word = tile_row() / 4 ^ column / 16 * 4;
  for (int i = 0; i < 4; ++i) {
    tile[(column + 4 * group + i) * (kTile / 4) + word] = words[i];
  }
}

/// Writes the tile whose first code is (row, column) to out [columns, ld]. The block has met at a
/// barrier since put_words.
__device__ inline void store_transposed(const std::uint32_t* tile, std::int64_t row,
                                        std::int64_t column, std::int64_t columns,
                                        std::uint8_t* out, std::int64_t ld) {
  const int piece = static_cast<int>(threadIdx.x) % 8;
  if (row + piece * 16 >= ld) {
    return;
  }
  for (int i = 0; i < 4; ++i) {
    const int in_tile = i * 32 + static_cast<int>(threadIdx.x) / 8;
    const int word = (piece ^ in_tile / 16) * 4;
    if (column + in_tile < columns) {
      store(out + (column + in_tile) * ld + row + piece * 16,
            *reinterpret_cast<const Bytes16*>(tile + in_tile * (kTile / 4) + word));
    }
  }
}

}  // namespace float8::kernels
