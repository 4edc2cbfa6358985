// Compiled once for each instruction set, with FLOAT8_LOOPS naming the table and the compiler's
// flags choosing the instructions. It includes nothing but headers of constexpr functions, so that
// no inline function compiled for a newer processor can end up in the rest of the library.

#include <cstdint>

#include "float8/format.h"
#include "src/ops/cpu/loops/cast.h"
#include "src/ops/cpu/loops/cast_error.h"
#include "src/ops/cpu/loops/convert.h"
#include "src/ops/cpu/loops/loops.h"
#include "src/ops/cpu/loops/tensor_core.h"
#include "src/ops/cpu/loops/transpose.h"

namespace float8::cpu {
namespace {

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
      {cast_float16<Encoder, kE4M3>, cast_float16<Encoder, kE5M2>},
  }};
}

template <class Encoder>
constexpr Loops::CastColumnsTable cast_columns_table() {
  return {{
      {cast_columns<Encoder, Float32, kE4M3>, cast_columns<Encoder, Float32, kE5M2>},
      {cast_columns<Encoder, BFloat16, kE4M3>, cast_columns<Encoder, BFloat16, kE5M2>},
      {cast_columns_float16<Encoder, kE4M3>, cast_columns_float16<Encoder, kE5M2>},
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
    .cast_error = {cast_error<Float32>, cast_error<BFloat16>, cast_error<Float16>},
    .transpose = transpose,
    .decode_float = {decode_float<kE4M3>, decode_float<kE5M2>},
    .decode_bfloat16 = {decode_bfloat16<kE4M3>, decode_bfloat16<kE5M2>},
    .decode_panel = {decode_panel<kE4M3>, decode_panel<kE5M2>},
    .store = {store<Float32>, store<BFloat16>, store<Float16>},
    .tensor_core = tensor_core,
};

}  // namespace float8::cpu
