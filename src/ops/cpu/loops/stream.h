#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

// Writing past the caches, where the processor can: a line that nobody will read soon is not
// fetched before it is written, and pushes nothing else out. Always inlined: included by code for
// several instruction sets, these functions must have no copy that the linker could share.
namespace float8::cpu {

/// Bytes that caches and memory move at once.
inline constexpr std::int64_t kCacheLine = 64;

/// Copies n bytes. out starts a cache line, in is aligned to 16; what is not a whole line goes
/// through the caches.
[[gnu::always_inline]] inline void stream_copy(const std::uint8_t* in, std::int64_t n,
                                               std::uint8_t* out) {
  std::int64_t i = 0;
#if defined(__SSE2__)
  for (; i + kCacheLine <= n; i += kCacheLine) {
    for (std::int64_t j = i; j < i + kCacheLine; j += 16) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(out + j),
                       _mm_load_si128(reinterpret_cast<const __m128i*>(in + j)));
    }
  }
#endif
  __builtin_memcpy(out + i, in + i, n - i);
}

/// Other threads see what this one streamed only after this, and what they are told after it.
[[gnu::always_inline]] inline void finish_streaming() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

}  // namespace float8::cpu
