#pragma once

#include <cstdint>

#include "src/ops/cpu/loops/stream.h"

// Transposing bytes. Included by loops.cpp only, once for each instruction set.
namespace float8::cpu {
namespace {  // NOLINT(google-build-namespaces): one copy for each instruction set

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

inline void transpose_16x16(const std::uint8_t* in, std::int64_t ld_in, std::uint8_t* out,
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
               std::uint8_t* out, std::int64_t ld_out, bool stream) {
  const std::int64_t whole_rows = rows / 16 * 16;
  const std::int64_t whole_columns = columns / 16 * 16;
  // Up to 64 rows of 16 columns, transposed, one cache line for each column: the output is written
  // one cache line at a time.
  alignas(64) std::uint8_t lines[16 * kCacheLine];
  for (std::int64_t c = 0; c < whole_columns; c += 16) {
    for (std::int64_t r = 0; r < whole_rows; r += kCacheLine) {
      const std::int64_t n = whole_rows - r < kCacheLine ? whole_rows - r : kCacheLine;
      for (std::int64_t i = 0; i < n; i += 16) {
        transpose_16x16(in + (r + i) * ld_in + c, ld_in, lines + i, kCacheLine);
      }
      std::uint8_t* target = out + c * ld_out + r;
      for (const std::uint8_t* line = lines; line < lines + sizeof(lines);
           line += kCacheLine, target += ld_out) {
        if (stream) {
          stream_copy(line, n, target);
        } else if (n == kCacheLine) {
          __builtin_memcpy(target, line, kCacheLine);  // of a known length: one store
        } else {
          __builtin_memcpy(target, line, n);
        }
      }
    }
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = r < whole_rows ? whole_columns : 0; c < columns; ++c) {
      out[c * ld_out + r] = in[r * ld_in + c];
    }
  }
}

}  // namespace
}  // namespace float8::cpu
