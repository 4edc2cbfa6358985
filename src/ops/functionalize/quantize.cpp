// What a traced graph holds in the place of quantize and quantize_pair. torch.compile and export
// functionalize what they trace, and nothing else does: this key is the tracer's entry, which eager
// mode, dispatch modes and tensor subclasses never see.
//
// With one scale for the tensor the amax becomes aten operations, so that a compiler can fuse it
// into the operation that makes x; the scale and the cast stay ours, for the same bits as in eager
// mode. With scales for rows the operator stays as it is: it reads x once, where an amax of its own
// would need a second read.

#include <ATen/FunctionalTensorWrapper.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include "float8/ops.h"
#include "src/ops/check.h"

namespace float8::ops {
namespace {

// max|x|, [1, 1].
at::Tensor traced_amax(const at::Tensor& x) {
  if (TORCH_GUARD_OR_FALSE(x.sym_numel().sym_eq(0))) {
    return at::zeros({1, 1}, x.options());
  }
  return at::amax(at::abs(x), {0, 1}, /*keepdim=*/true);
}

// Calls `op` on tensors that are not functional, and makes its results functional.
template <class Op, class... Tensors>
auto call_below(const Op& op, const Tensors&... tensors) {
  (at::functionalization::impl::sync(tensors), ...);
  const auto results = [&] {
    const at::AutoDispatchSkipFunctionalize below;
    return op(at::functionalization::impl::from_functional_tensor(tensors, /*assert=*/false)...);
  }();
  return std::apply(
      [](const auto&... each) {
        return std::make_tuple(at::functionalization::impl::to_functional_tensor(each)...);
      },
      results);
}

std::tuple<at::Tensor, at::Tensor> quantize(const at::Tensor& x_any, at::ScalarType dtype,
                                            at::IntArrayRef block_any, bool power_of_two,
                                            bool transpose,
                                            const std::optional<at::Tensor>& after_any,
                                            const std::optional<at::Tensor>& known_amax) {
  check_high_precision("quantize", x_any);
  const Block block = check_block("quantize", block_any, kOperandBlocks);
  const bool decompose = !known_amax && block == kTensorBlock;
  return call_below(
      [&](const at::Tensor& x, const std::optional<at::Tensor>& after,
          const std::optional<at::Tensor>& amax) {
        return float8::quantize(x, dtype, block, power_of_two, transpose, after, amax);
      },
      x_any, after_any, decompose ? std::optional<at::Tensor>(traced_amax(x_any)) : known_amax);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> quantize_pair(
    const at::Tensor& x_any, at::ScalarType dtype, at::IntArrayRef block_any,
    at::IntArrayRef block_t_any, bool power_of_two, const std::optional<at::Tensor>& known_amax) {
  check_high_precision("quantize_pair", x_any);
  const Block block = check_block("quantize_pair", block_any, kOperandBlocks);
  const Block block_t = check_block("quantize_pair", block_t_any, kOperandBlocks);
  const bool decompose = !known_amax && block == kTensorBlock && block_t == kTensorBlock;
  return call_below(
      [&](const at::Tensor& x, const std::optional<at::Tensor>& amax) {
        return float8::quantize_pair(x, dtype, block, block_t, power_of_two, amax);
      },
      x_any, decompose ? std::optional<at::Tensor>(traced_amax(x_any)) : known_amax);
}

}  // namespace

TORCH_LIBRARY_IMPL(float8, Functionalize, m) {
  m.impl("quantize", &quantize);
  m.impl("quantize_pair", &quantize_pair);
}

}  // namespace float8::ops
