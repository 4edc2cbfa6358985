#pragma once

#include <cstdint>

#include "src/ops/cpu/loops/convert.h"

#if defined(__AVX512F__) || defined(__F16C__)
#include <immintrin.h>
#endif

// Values of 16 bits as float32, many at a time. Included by loops.cpp only, once for each
// instruction set.
namespace float8::cpu {
namespace {  // NOLINT(google-build-namespaces): one copy for each instruction set

inline void widen_float16(const std::uint16_t* x, std::int64_t n, float* out) {
  std::int64_t i = 0;
#if defined(__AVX512F__)
  for (; i + 16 <= n; i += 16) {
    // The form with a mask: GCC 12 warns about its own header for the plain one.
    const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i));
    _mm512_storeu_ps(out + i, _mm512_maskz_cvtph_ps(0xFFFF, half));
  }
#elif defined(__F16C__)
  for (; i + 8 <= n; i += 8) {
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i));
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(half));
  }
#endif
  for (; i < n; ++i) {
    out[i] = Float16::to_float(x[i]);
  }
}

}  // namespace
}  // namespace float8::cpu
