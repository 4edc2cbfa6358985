#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <cstring>

#include "src/ops/check.h"
#include "src/ops/cpu/tensors.h"
#include "src/ops/cpu/transposed.h"

namespace float8::cpu {
namespace {

at::Tensor transpose(const at::Tensor& data_any) {
  ops::check_fp8("transpose", "data", data_any);
  const at::Tensor data = data_any.contiguous();
  const std::int64_t m = data.size(0);
  const std::int64_t k = data.size(1);
  at::Tensor result = at::empty({k, ops::padded(m)}, data.options());
  const std::uint8_t* in = const_bytes_of(data);
  write_transposed(data, result,
                   [=](std::int64_t r, std::int64_t c, std::int64_t n, std::uint8_t* codes) {
                     std::memcpy(codes, in + r * k + c, n);
                   });
  return result;
}

}  // namespace

TORCH_LIBRARY_IMPL(float8, CPU, m) { m.impl("transpose", &transpose); }

}  // namespace float8::cpu
