#pragma once

#include <cstdint>

#include "src/ops/cpu/loops/loops.h"

// Sums as Hopper's tensor cores form them; the rules are in float8/cpu_gemm.h. Included by
// loops.cpp only, once for each instruction set.
namespace float8::cpu {
namespace {  // NOLINT(google-build-namespaces): one copy for each instruction set

// One value for each column of a panel: the compiler splits it where its registers are narrower.
using Floats = float __attribute__((vector_size(sizeof(float) * kTensorCoreColumns)));
using Ints = std::int32_t __attribute__((vector_size(sizeof(float) * kTensorCoreColumns)));

// The loop works on floats and yet is exact: a product of FP8 values has 8 bits, a shift is a
// multiplication by a power of two, and cvtt cuts towards zero. A term has at most 16 bits before
// the point and there are 33 of them, so that int32 holds the sum.
void tensor_core(const TensorCoreRow& a, const TensorCorePanel& b, std::int64_t k, bool fast_accum,
                 float* result) {
  constexpr std::int64_t kProducts = 32;
  constexpr std::int64_t kPromotion = 128;
  constexpr float kUnits = 0x1p13F;  // of the last fractional bit in 1
  constexpr std::int32_t kKeptBits = ~((1 << (detail::kFloatMantissaBits - 13)) - 1);
  constexpr std::int32_t kExponentBits = 0x7F800000;
  Floats sum = {};
  Floats promoted = {};
  for (std::int64_t first = 0; first < k; first += kProducts) {
    const std::int64_t last = first + kProducts < k ? first + kProducts : k;
    // The largest exponent, as a power of two; 0 where every term is 0.
    auto power = reinterpret_cast<Floats>(reinterpret_cast<Ints>(sum) & kExponentBits);
    for (std::int64_t i = first; i < last; ++i) {
      Floats b_power;
      __builtin_memcpy(&b_power, b.powers + i * kTensorCoreColumns, sizeof(b_power));
      const Floats product = a.powers[i] * b_power;
      power = product > power ? product : power;
    }
    const Floats zero = {};
    const Floats scale = power > zero ? kUnits / power : zero;
    Ints total = __builtin_convertvector(sum * scale, Ints);
    for (std::int64_t i = first; i < last; ++i) {
      Floats b_value;
      __builtin_memcpy(&b_value, b.values + i * kTensorCoreColumns, sizeof(b_value));
      total += __builtin_convertvector(a.values[i] * b_value * scale, Ints);
    }
    const Floats aligned = __builtin_convertvector(total, Floats) * (power / kUnits);
    sum = reinterpret_cast<Floats>(reinterpret_cast<Ints>(aligned) & kKeptBits);
    if (!fast_accum && last % kPromotion == 0) {
      promoted += sum;
      sum = zero;
    }
  }
  sum += promoted;  // one of them is 0, or this is the end of the last interval
  __builtin_memcpy(result, &sum, sizeof(sum));
}

}  // namespace
}  // namespace float8::cpu
