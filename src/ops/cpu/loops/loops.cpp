// Compiled once for each instruction set, with FLOAT8_LOOPS naming the table and the compiler's
// flags choosing the instructions. It includes nothing but headers of constexpr functions, so that
// no inline function compiled for a newer processor can end up in the rest of the library.

#include <cstdint>

#include "float8/format.h"
#include "src/ops/cpu/loops/cast.h"
#include "src/ops/cpu/loops/convert.h"
#include "src/ops/cpu/loops/loops.h"

namespace float8::cpu {
namespace {

using Bytes16 = std::uint8_t __attribute__((vector_size(16)));

// One step of a perfect shuffle; four of them transpose a 16 x 16 matrix of bytes.
inline void interleave(const Bytes16* in, Bytes16* out) {
  for (std::size_t i = 0; i < 8; ++i) {
    out[2 * i] = __builtin_shufflevector(in[i], in[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21,
                                         6, 22, 7, 23);
    out[2 * i + 1] = __builtin_shufflevector(in[i], in[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28,
                                             13, 29, 14, 30, 15, 31);
  }
}

void transpose_16x16(const std::uint8_t* in, std::int64_t ld_in, std::uint8_t* out,
                     std::int64_t ld_out) {
  Bytes16 a[16];
  Bytes16 b[16];
  for (int i = 0; i < 16; ++i) {
    __builtin_memcpy(&a[i], in + i * ld_in, 16);
  }
  interleave(a, b);
  interleave(b, a);
  interleave(a, b);
  interleave(b, a);
  for (int i = 0; i < 16; ++i) {
    __builtin_memcpy(out + i * ld_out, &a[i], 16);
  }
}

void transpose(const std::uint8_t* in, std::int64_t ld_in, std::int64_t rows, std::int64_t columns,
               std::uint8_t* out, std::int64_t ld_out) {
  const std::int64_t whole_rows = rows / 16 * 16;
  const std::int64_t whole_columns = columns / 16 * 16;
  for (std::int64_t c = 0; c < whole_columns; c += 16) {
    for (std::int64_t r = 0; r < whole_rows; r += 16) {
      transpose_16x16(in + r * ld_in + c, ld_in, out + c * ld_out + r, ld_out);
    }
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = r < whole_rows ? whole_columns : 0; c < columns; ++c) {
      out[c * ld_out + r] = in[r * ld_in + c];
    }
  }
}

template <Format kFormat>
void decode_float(const std::uint8_t* __restrict in, std::int64_t n, float* __restrict out) {
  for (std::int64_t i = 0; i < n; ++i) {
    out[i] = decode<kFormat>(in[i]);
  }
}

// bfloat16 holds every FP8 value exactly: the lower half of its float is zero.
template <Format kFormat>
void decode_bfloat16(const std::uint8_t* __restrict in, std::int64_t n,
                     std::uint16_t* __restrict out) {
  for (std::int64_t i = 0; i < n; ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(decode<kFormat>(in[i]));
    out[i] = static_cast<std::uint16_t>(bits >> 16);
  }
}

template <Format kFormat>
void decode_panel(const std::uint8_t* in, std::int64_t ld_in, std::int64_t rows, std::int64_t k,
                  std::uint16_t* out) {
  constexpr std::int64_t kChunk = 64;
  std::uint16_t decoded[kPanel * kChunk];
  for (std::int64_t first = 0; first < k; first += kChunk) {
    const std::int64_t n = k - first < kChunk ? k - first : kChunk;
    for (std::int64_t r = 0; r < rows; ++r) {
      decode_bfloat16<kFormat>(in + r * ld_in + first, n, decoded + r * kChunk);
    }
    for (std::int64_t pair = 0; pair < n / 2; ++pair) {
      std::uint16_t* row = out + (first / 2 + pair) * rows * 2;
      for (std::int64_t r = 0; r < rows; ++r) {
        __builtin_memcpy(row + 2 * r, decoded + r * kChunk + 2 * pair, 4);
      }
    }
  }
}

template <class E>
void store(const float* __restrict acc, std::int64_t n, float row_scale,
           const float* __restrict column_scale, std::int64_t column_stride, const void* bias_data,
           void* out_data) {
  using Storage = typename E::Storage;
  auto* __restrict out = static_cast<Storage*>(out_data);
  if (column_stride == 0) {
    const float scale = row_scale * column_scale[0];
    for (std::int64_t i = 0; i < n; ++i) {
      out[i] = E::from_float(acc[i] * scale);
    }
  } else {
    for (std::int64_t i = 0; i < n; ++i) {
      out[i] = E::from_float(acc[i] * (row_scale * column_scale[i]));
    }
  }
  if (bias_data != nullptr) {
    const auto* __restrict bias = static_cast<const Storage*>(bias_data);
    for (std::int64_t i = 0; i < n; ++i) {
      out[i] = E::from_float(E::to_float(out[i]) + E::to_float(bias[i]));
    }
  }
}

constexpr Format kE4M3 = Format::kE4M3;
constexpr Format kE5M2 = Format::kE5M2;

template <class Encoder>
constexpr Loops::CastTable cast_table() {
  return {{
      {cast<Encoder, Float32, kE4M3>, cast<Encoder, Float32, kE5M2>},
      {cast<Encoder, BFloat16, kE4M3>, cast<Encoder, BFloat16, kE5M2>},
      {cast<Encoder, Float16, kE4M3>, cast<Encoder, Float16, kE5M2>},
  }};
}

template <class Encoder>
constexpr Loops::CastColumnsTable cast_columns_table() {
  return {{
      {cast_columns<Encoder, Float32, kE4M3>, cast_columns<Encoder, Float32, kE5M2>},
      {cast_columns<Encoder, BFloat16, kE4M3>, cast_columns<Encoder, BFloat16, kE5M2>},
      {cast_columns<Encoder, Float16, kE4M3>, cast_columns<Encoder, Float16, kE5M2>},
  }};
}

}  // namespace

extern const Loops FLOAT8_LOOPS;

const Loops FLOAT8_LOOPS = {
    .name = FLOAT8_LOOPS_NAME,
    .amax = {amax<Float32>, amax<BFloat16>, amax<Float16>},
    .amax_columns = {amax_columns<Float32>, amax_columns<BFloat16>, amax_columns<Float16>},
    .cast = cast_table<Any>(),
    .cast_bounded = cast_table<Bounded>(),
    .cast_columns = cast_columns_table<Any>(),
    .cast_columns_bounded = cast_columns_table<Bounded>(),
    .transpose = transpose,
    .decode_float = {decode_float<kE4M3>, decode_float<kE5M2>},
    .decode_bfloat16 = {decode_bfloat16<kE4M3>, decode_bfloat16<kE5M2>},
    .decode_panel = {decode_panel<kE4M3>, decode_panel<kE5M2>},
    .store = {store<Float32>, store<BFloat16>, store<Float16>},
};

}  // namespace float8::cpu
