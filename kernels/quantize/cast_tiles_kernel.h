#pragma once

#include <algorithm>

#include "kernels/quantize/block_scales.h"
#include "kernels/quantize/dispatch.h"

// The kernel of cast_tiles.h. See tile.h for how a block transposes.
namespace float8::kernels {

/// How a copy's codes come about. One scale for the tensor is one for each row, all equal.
enum class Codes : std::uint8_t { kNone, kByRow, kByColumn, kSame /* as the straight copy */ };

struct CastTilesParameters {
  CastTiles cast;
  std::uint32_t strips;  ///< of 128 columns
  std::int64_t run;      ///< tiles, one below the other, that a block works on
  std::int64_t row_tiles;
};

template <Element kElement, bool kAligned>
struct TileInput {
  static constexpr int kSize = size_of(kElement);
  Unit<kSize> rows[4];

  __device__ void load(const Matrix& x, std::int64_t row, std::int64_t column) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      rows[i] = load_unit<kSize, kAligned>(x.data, (row + i) * x.columns + column,
                                           row + i < x.rows ? x.columns - column : 0);
    }
  }
};

/// The scales of the thread's four rows.
template <Codes kCodes>
__device__ inline void load_row_scales(const TileCopy& copy, std::int64_t row, std::int64_t rows,
                                       Float4& scales) {
  if constexpr (kCodes == Codes::kByRow) {
    if (copy.granularity == Granularity::kRow) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        scales.values[i] = row + i < rows ? copy.scale[row + i] : 0.0F;
      }
    }
  }
}

// Grid: (strip of 128 columns, run of tiles), strips fastest and runs from the last to the first,
// since L2 holds the end of x when the launch before has read it. With 16-bit elements the next
// tile's loads are under way while this one is written (float32's would not fit the registers).
// Rows are 16-byte aligned, or kAligned is false: then elements are loaded one by one. Shared: with
// a transposed copy two tiles; always the strip's scales and 32 words.
template <Element kElement, Format kFormat, Codes kStraight, Codes kTransposed, bool kAligned>
__global__ void __launch_bounds__(kTileThreads, 2) cast_tiles_kernel(const CastTilesParameters p) {
  constexpr bool kAhead = size_of(kElement) == 2;
  constexpr bool kTransposes = kTransposed != Codes::kNone;
  constexpr bool kByColumn = kStraight == Codes::kByColumn || kTransposed == Codes::kByColumn;
  const CastTiles& cast = p.cast;
  const Matrix& x = cast.x;
  std::uint8_t* shared = dynamic_shared();
  auto* tiles = reinterpret_cast<std::uint32_t*>(shared);
  auto* strip = reinterpret_cast<float*>(shared + (kTransposes ? kTileSharedBytes : 0));
  auto* warps = reinterpret_cast<std::uint32_t*>(strip + kStripWords);

  const std::int64_t runs = gridDim.x / p.strips;
  const std::int64_t run = runs - 1 - blockIdx.x / p.strips;
  const std::int64_t first_column = static_cast<std::int64_t>(blockIdx.x % p.strips) * kTile;
  const std::int64_t column = first_column + tile_column();
  std::int64_t tile = run * p.run;
  const std::int64_t end = tile + p.run < p.row_tiles ? tile + p.run : p.row_tiles;
  const std::int64_t ld = padded(x.columns);
  const std::int64_t ld_transposed = padded(x.rows);

  TileInput<kElement, kAligned> input = {};
  Float4 by_row = {};
  Float4 by_row_transposed = {};
  const auto load_tile = [&] {
    const std::int64_t row = tile * kTile + tile_row();
    if (tile < end) {
      input.load(x, row, column);
      load_row_scales<kStraight>(cast.straight, row, x.rows, by_row);
      load_row_scales<kTransposed>(cast.transposed, row, x.rows, by_row_transposed);
    }
  };
  if constexpr (kAhead) {
    load_tile();
  }

  const auto prepare = [&]<Codes kCodes>(const TileCopy& copy, Float4& rows) {
    if constexpr (kCodes == Codes::kByRow) {
      if (copy.granularity == Granularity::kTensor) {
        const float scale = tensor_scale<kElement>(cast, copy, warps);
        rows = all(scale);
        if (blockIdx.x == 0 && threadIdx.x == 0) {
          if (copy.scale_inv != nullptr) {
            *copy.scale_inv = 1.0F / scale;
          }
          if (kTransposed == Codes::kSame && cast.transposed.scale_inv != nullptr) {
            *cast.transposed.scale_inv = 1.0F / scale;
          }
        }
      }
    } else if constexpr (kCodes == Codes::kByColumn) {
      strip_scales<kElement>(cast, copy, first_column, run == 0, strip,
                             reinterpret_cast<Bytes16*>(tiles));
    }
  };
  prepare.template operator()<kStraight>(cast.straight, by_row);
  prepare.template operator()<kTransposed>(cast.transposed, by_row_transposed);

  for (int half = 0; tile < end; half ^= 1) {
    if constexpr (!kAhead) {
      load_tile();
    }
    const std::int64_t row = tile * kTile + tile_row();
    std::uint32_t* words = tiles + half * kTileWords;
    const std::uint32_t rows_in_x = first_bytes(x.rows - row);
    Bytes16 codes[4];
#pragma unroll
    for (int group = 0; group < 4; ++group) {
      Float4 by_column = {};
      if constexpr (kByColumn) {
        by_column = *reinterpret_cast<const Float4*>(strip + strip_word(tile_column() + 4 * group));
      }
      std::uint32_t turned[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const Float4 values = values_of<kElement>(input.rows[i], group);
        if constexpr (kStraight != Codes::kNone) {
          codes[i].words[group] = encode_word<kFormat>(
              values, kStraight == Codes::kByColumn ? by_column : all(by_row.values[i]));
        }
        if constexpr (kTransposed == Codes::kSame) {
          turned[i] = codes[i].words[group];
        } else if constexpr (kTransposes) {
          turned[i] = encode_word<kFormat>(values, kTransposed == Codes::kByColumn
                                                       ? by_column
                                                       : all(by_row_transposed.values[i]));
        }
      }
      if constexpr (kTransposes) {
        transpose_words(turned);
        for (std::uint32_t& word : turned) {
          word &= rows_in_x;
        }
        put_words(words, group, turned);
      }
    }
    const std::int64_t first_row = tile * kTile;
    ++tile;
    if constexpr (kAhead) {
      load_tile();
    }
    if constexpr (kStraight != Codes::kNone) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if (row + i < x.rows && column < ld) {
          keep_first(codes[i], x.columns - column);
          store(cast.straight.data + (row + i) * ld + column, codes[i]);
        }
      }
    }
    if constexpr (kTransposes) {
      __syncthreads();
      store_transposed(words, first_row, first_column, x.columns, cast.transposed.data,
                       ld_transposed);
    }
  }
}

template <Element kElement, Codes kStraight, Codes kTransposed>
cudaError_t launch_codes(const CastTiles& cast, cudaStream_t stream) {
  // Two waves of two blocks for each multiprocessor of an H100, until that makes a block's run so
  // long that blocks that start late leave the others waiting.
  constexpr std::int64_t kBlocks = 4 * 132;
  constexpr std::int64_t kLongestRun = 8;
  const std::int64_t strips = std::max<std::int64_t>(parts_of(cast.x.columns, kTile), 1);
  const std::int64_t row_tiles = parts_of(cast.x.rows, kTile);
  const std::int64_t run =
      std::clamp<std::int64_t>(parts_of(strips * row_tiles, kBlocks), 1, kLongestRun);
  const std::int64_t runs = std::max<std::int64_t>(parts_of(row_tiles, run), 1);
  constexpr std::size_t kShared =
      (kTransposed != Codes::kNone ? kTileSharedBytes : 0) + (kStripWords + kWarpSize) * 4;
  const LaunchShape shape = {strips * runs, kTileThreads, kShared};
  const CastTilesParameters parameters = {cast, static_cast<std::uint32_t>(strips), run, row_tiles};
  return with_format(cast.format, [&](auto format) {
    return with_bool(has_aligned_rows(cast.x), [&](auto aligned) {
      return launch(cast_tiles_kernel<kElement, format(), kStraight, kTransposed, aligned()>, shape,
                    stream, parameters);
    });
  });
}

template <Element kElement>
cudaError_t launch_element(const CastTiles& cast, cudaStream_t stream) {
  const bool straight = cast.straight.data != nullptr;
  const bool transposed = cast.transposed.data != nullptr;
  const bool by_column =
      (transposed ? cast.transposed : cast.straight).granularity == Granularity::kColumn;
  if (cast.same_codes()) {
    return launch_codes<kElement, Codes::kByRow, Codes::kSame>(cast, stream);
  }
  if (straight && transposed) {
    return by_column ? launch_codes<kElement, Codes::kByRow, Codes::kByColumn>(cast, stream)
                     : launch_codes<kElement, Codes::kByRow, Codes::kByRow>(cast, stream);
  }
  if (straight) {
    return by_column ? launch_codes<kElement, Codes::kByColumn, Codes::kNone>(cast, stream)
                     : launch_codes<kElement, Codes::kByRow, Codes::kNone>(cast, stream);
  }
  return by_column ? launch_codes<kElement, Codes::kNone, Codes::kByColumn>(cast, stream)
                   : launch_codes<kElement, Codes::kNone, Codes::kByRow>(cast, stream);
}

}  // namespace float8::kernels
