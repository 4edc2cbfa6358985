#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <cstring>

#include "src/ops/check.h"
#include "src/ops/cpu/tensors.h"

namespace float8::cpu {
namespace {

// A tile's codes stay in the first-level cache. A column of it fills two whole cache lines of the
// transposed copy, which lie pages apart from the next column's: fewer, and memory sets the pace.
constexpr std::int64_t kTileRows = 128;
constexpr std::int64_t kTileColumns = 256;

// One layout that is being written. Rows and columns of the scale are those of x.
struct Output {
  Output(const CastTarget& target, Element element)
      : data(bytes_of(target.data)),
        ld(target.data.size(1)),
        rows(row_scale(target.scale)),
        columns(column_scale(target.scale)) {
    const int format = target.data.scalar_type() == at::kFloat8_e4m3fn ? 0 : 1;
    const Loops& table = loops();
    const int type = index_of(element);
    const bool all_positive =
        target.from_amax && target.scale.size(0) == 1 &&
        std::all_of(columns.data, columns.data + target.scale.size(1), is_positive);
    cast_row = table.cast[type][format];
    cast_row_bounded = target.from_amax ? table.cast_bounded[type][format] : cast_row;
    cast_columns =
        all_positive ? table.cast_columns_bounded[type][format] : table.cast_columns[type][format];
  }

  // A scale that comes from amax is 0 or NaN where a value is not finite, and positive elsewhere.
  static bool is_positive(float scale) { return scale > 0.0F; }

  // Casts n values of row r, from column c on.
  void cast(const std::byte* x, std::int64_t r, std::int64_t c, std::int64_t n,
            std::uint8_t* out) const {
    if (columns.stride == 0) {
      (is_positive(rows[r]) ? cast_row_bounded : cast_row)(x, n, rows[r], out);
    } else {
      cast_columns(x, n, columns.data + c, out);
    }
  }

  std::uint8_t* data;
  std::int64_t ld;
  ScaleView rows;
  ScaleView columns;
  Loops::Cast cast_row;
  Loops::Cast cast_row_bounded;
  Loops::CastColumns cast_columns;
};

at::Tensor cast(const at::Tensor& x, const at::Tensor& scale, at::ScalarType dtype,
                bool transpose) {
  ops::check_high_precision("cast", x);
  ops::check_format("cast", dtype);
  ops::check_scale("cast", scale, x);
  const std::int64_t rows = x.size(transpose ? 1 : 0);
  const std::int64_t columns = x.size(transpose ? 0 : 1);
  const CastTarget target = {at::empty({rows, ops::padded(columns)}, x.options().dtype(dtype)),
                             scale.contiguous()};
  cast_layouts(x.contiguous(), transpose ? CastTarget{} : target,
               transpose ? target : CastTarget{});
  return target.data;
}

}  // namespace

void cast_layouts(const at::Tensor& x, const CastTarget& straight, const CastTarget& transposed) {
  const std::int64_t m = x.size(0);
  const std::int64_t k = x.size(1);
  const std::int64_t element_size = x.element_size();
  const auto* source = static_cast<const std::byte*>(x.const_data_ptr());
  const Element element = element_of(x.scalar_type());
  const bool want_straight = straight.data.defined();
  const bool want_transposed = transposed.data.defined();
  const Output out(want_straight ? straight : transposed, element);
  const Output out_t(want_transposed ? transposed : straight, element);
  // One scale for both layouts: the transposed bytes are the straight ones, moved.
  const bool same_bytes = want_straight && want_transposed && straight.scale.numel() == 1 &&
                          transposed.scale.is_same(straight.scale);

  // Without a transposed copy a tile is a row.
  const std::int64_t tile_rows = want_transposed ? kTileRows : 1;
  const std::int64_t tile_columns = want_transposed ? kTileColumns : std::max<std::int64_t>(k, 1);
  const std::int64_t row_tiles = (m + tile_rows - 1) / tile_rows;
  const std::int64_t column_tiles = (k + tile_columns - 1) / tile_columns;
  // Tiles of one column follow each other: a thread then writes whole rows of the transposed copy.
  const std::int64_t tiles = row_tiles * column_tiles;
  at::parallel_for(
      0, tiles, grain(tile_rows * tile_columns), [&](std::int64_t begin, std::int64_t end) {
        alignas(64) std::uint8_t buffer[kTileRows * kTileColumns];
        for (std::int64_t tile = begin; tile < end; ++tile) {
          const std::int64_t r0 = tile % row_tiles * tile_rows;
          const std::int64_t c0 = tile / row_tiles * tile_columns;
          const std::int64_t rows = std::min(tile_rows, m - r0);
          const std::int64_t columns = std::min(tile_columns, k - c0);
          for (std::int64_t r = 0; r < rows; ++r) {
            const std::byte* row = source + ((r0 + r) * k + c0) * element_size;
            std::uint8_t* codes = buffer + r * kTileColumns;  // of a transposed copy
            if (want_transposed) {
              out_t.cast(row, r0 + r, c0, columns, codes);
            }
            if (want_straight) {
              std::uint8_t* destination = out.data + (r0 + r) * out.ld + c0;
              if (same_bytes) {
                std::memcpy(destination, codes, columns);
              } else {
                out.cast(row, r0 + r, c0, columns, destination);
              }
              if (c0 + columns == k) {
                std::memset(destination + columns, 0, out.ld - k);
              }
            }
          }
          if (want_transposed) {
            std::uint8_t* destination = out_t.data + c0 * out_t.ld + r0;
            loops().transpose(buffer, kTileColumns, rows, columns, destination, out_t.ld);
            if (r0 + rows == m && out_t.ld > m) {
              for (std::int64_t c = 0; c < columns; ++c) {
                std::memset(destination + c * out_t.ld + rows, 0, out_t.ld - m);
              }
            }
          }
        }
      });
}

TORCH_LIBRARY_IMPL(float8, CPU, m) { m.impl("cast", &cast); }

}  // namespace float8::cpu
