#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <cstring>

#include "src/ops/check.h"
#include "src/ops/cpu/tensors.h"
#include "src/ops/cpu/transposed.h"

namespace float8::cpu {
namespace {

// One layout that is being written. Rows and columns of the scale are those of x.
struct Output {
  Output(const CastTarget& target, Element element)
      : data(bytes_of(target.data)),
        ld(target.data.size(1)),
        stream(streams(target.data)),
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
  bool stream;
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

  const auto pad_straight = [&](std::int64_t r) {
    // memset may not be given a null pointer, which data of no bytes has.
    std::fill_n(out.data + r * out.ld + k, out.ld - k, std::uint8_t{0});
  };
  if (!want_transposed) {
    at::parallel_for(0, x.size(0), grain(k), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        out.cast(source + r * k * element_size, r, 0, k, out.data + r * out.ld);
        pad_straight(r);
      }
    });
    return;
  }
  write_transposed(x, transposed.data,
                   [&](std::int64_t r, std::int64_t c, std::int64_t n, std::uint8_t* codes_t) {
                     const std::byte* values = source + (r * k + c) * element_size;
                     out_t.cast(values, r, c, n, codes_t);
                     if (!want_straight) {
                       return;
                     }
                     std::uint8_t* codes = out.data + r * out.ld + c;
                     if (!same_bytes) {
                       out.cast(values, r, c, n, codes);
                     } else if (out.stream) {
                       stream_copy(codes_t, n, codes);
                     } else {
                       std::memcpy(codes, codes_t, n);
                     }
                     if (c + n == k) {
                       pad_straight(r);
                     }
                   });
}

TORCH_LIBRARY_IMPL(float8, CPU, m) { m.impl("cast", &cast); }

}  // namespace float8::cpu
