#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "src/ops/check.h"
#include "src/ops/cuda/operators.h"
#include "src/ops/cuda/tensors.h"

namespace float8::cuda {

// Of torch's own operators: it is for a few sampled rows, now and then, and no kernel pays.
at::Tensor cast_error(const at::Tensor& x, const at::Tensor& scale, at::ScalarType dtype) {
  ops::check_high_precision("cast_error", x);
  const Format format = ops::check_format("cast_error", dtype);
  ops::check_scale("cast_error", scale, x);
  const at::Tensor codes = cast(x, scale, dtype, /*transpose=*/false).slice(1, 0, x.size(1));
  const at::Tensor decoded = codes.to(at::kDouble);
  const at::Tensor exact = x.to(at::kDouble);
  const at::Tensor saturated = (x.to(at::kFloat) * scale).abs() > saturation_of(format);
  const at::Tensor underflowed = (decoded == 0).logical_and(exact != 0);
  const at::Tensor error = decoded * scale.reciprocal().to(at::kDouble) - exact;
  return at::stack({saturated.sum().to(at::kDouble), underflowed.sum().to(at::kDouble),
                    exact.square().sum(), error.square().sum()});
}

}  // namespace float8::cuda
