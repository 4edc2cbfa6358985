// The health of a cast in one call: a host that inspects hundreds of operands in a step would
// otherwise spend more time between the operators than in them.

#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/library.h>

#include <algorithm>

#include "float8/ops.h"
#include "src/ops/check.h"

namespace float8::ops {
namespace {

std::tuple<at::Tensor, at::Tensor> cast_health(const at::Tensor& x, at::ScalarType dtype,
                                               bool rowwise, bool power_of_two,
                                               std::int64_t sample_rows) {
  check_high_precision("cast_health", x);
  TORCH_CHECK(sample_rows > 0, "[cast_health] sample_rows must be positive, got ", sample_rows);
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  const at::Tensor largest = float8::amax(x);
  const std::int64_t step = std::max<std::int64_t>(1, (x.size(0) + sample_rows - 1) / sample_rows);
  const at::Tensor sample = x.slice(0, 0, x.size(0), step);
  const at::Tensor scale =
      amax_to_scale(rowwise ? float8::amax(sample, kRowBlock) : largest, dtype, power_of_two);
  return {largest, cast_error(sample, scale, dtype)};
}

}  // namespace

TORCH_LIBRARY_IMPL(float8, CompositeImplicitAutograd, m) { m.impl("cast_health", &cast_health); }

}  // namespace float8::ops
