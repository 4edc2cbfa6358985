#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <cstring>

#include "src/ops/check.h"
#include "src/ops/cpu/tensors.h"

namespace float8::cpu {
namespace {

constexpr std::int64_t kTile = 64;

at::Tensor transpose(const at::Tensor& data_any) {
  ops::check_fp8("transpose", "data", data_any);
  const at::Tensor data = data_any.contiguous();
  const std::int64_t m = data.size(0);
  const std::int64_t k = data.size(1);
  const std::int64_t ld = ops::padded(m);
  at::Tensor result = at::empty({k, ld}, data.options());
  const std::uint8_t* in = const_bytes_of(data);
  std::uint8_t* out = bytes_of(result);
  at::parallel_for(
      0, (k + kTile - 1) / kTile, grain(kTile * m), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t c = begin * kTile; c < std::min(end * kTile, k); c += kTile) {
          const std::int64_t columns = std::min(kTile, k - c);
          for (std::int64_t r = 0; r < m; r += kTile) {
            loops().transpose(in + r * k + c, k, std::min(kTile, m - r), columns, out + c * ld + r,
                              ld);
          }
          for (std::int64_t row = c; row < c + columns && ld > m; ++row) {
            std::memset(out + row * ld + m, 0, ld - m);
          }
        }
      });
  return result;
}

}  // namespace

TORCH_LIBRARY_IMPL(float8, CPU, m) { m.impl("transpose", &transpose); }

}  // namespace float8::cpu
