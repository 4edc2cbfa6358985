#pragma once

#include <cmath>
#include <cstdint>

#include "src/ops/cpu/loops/convert.h"
#include "src/ops/cpu/loops/loops.h"

// What a cast loses. Included by loops.cpp only, once for each instruction set.
namespace float8::cpu {
namespace {  // NOLINT(google-build-namespaces): one copy for each instruction set

template <class E>
void add_cast_error(const typename E::Storage* __restrict x, const float* __restrict decoded,
                    std::int64_t n, const float* __restrict scale,
                    const float* __restrict scale_inv, float limit,
                    CastErrorSums& __restrict sums) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float value = E::to_float(x[i]);
    const float scaled = value * scale[i];
    const double exact = value;
    const double error = static_cast<double>(decoded[i]) * scale_inv[i] - exact;
    const bool zeroed = decoded[i] == 0;
    sums.squares[i] += exact * exact;
    sums.squared_errors[i] += error * error;
    sums.saturated[i] += (scaled > limit ? 1 : 0) + (scaled < -limit ? 1 : 0);
    sums.underflowed[i] += static_cast<int>(zeroed) & static_cast<int>(value != 0);
  }
}

// The i-th value goes to lane i % kErrorLanes whatever the vectors' width is, so that every
// instruction set gives the same sums.
template <class E>
void cast_error(const void* data, const float* decoded, std::int64_t n, const float* scale,
                const float* scale_inv, float limit, CastErrorSums* result) {
  const auto* x = static_cast<const typename E::Storage*>(data);
  CastErrorSums sums = *result;
  std::int64_t i = 0;
  for (; i + kErrorLanes <= n; i += kErrorLanes) {
    add_cast_error<E>(x + i, decoded + i, kErrorLanes, scale + i, scale_inv + i, limit, sums);
  }
  add_cast_error<E>(x + i, decoded + i, n - i, scale + i, scale_inv + i, limit, sums);
  *result = sums;
}

}  // namespace
}  // namespace float8::cpu
