// vmap of a linear layer: a call for each sample, each with scales of its own, as without vmap.

#include <ATen/functorch/BatchedTensorImpl.h>
#include <ATen/ops/stack.h>
#include <torch/library.h>

#include <algorithm>

#include "src/ops/linear/linear.h"

namespace float8::ops {
namespace {

// A tensor of vmap's at a level; any other is the same for all samples.
struct Operand {
  Operand(const at::Tensor& tensor, std::int64_t level) : value(tensor) {
    const auto* batched = at::functorch::maybeGetBatchedImpl(tensor);
    if (batched != nullptr && batched->level() == level) {
      value = batched->value();
      dimension = batched->bdim();
    }
  }
  [[nodiscard]] at::Tensor sample(std::int64_t i) const {
    return dimension ? value.select(*dimension, i) : value;
  }
  at::Tensor value;
  std::optional<std::int64_t> dimension;
};

std::int64_t level_of(const at::Tensor& tensor) {
  const auto* batched = at::functorch::maybeGetBatchedImpl(tensor);
  return batched != nullptr ? batched->level() : -1;
}

at::Tensor linear(const at::Tensor& input_any, const at::Tensor& weight_any,
                  const std::optional<at::Tensor>& bias_any, const LinearRecipe& recipe,
                  const std::optional<at::Tensor>& main_grad) {
  TORCH_CHECK(!main_grad,
              "[linear] main_grad does not go together with torch.vmap, got one; take it away, so "
              "that autograd carries the weight's gradient");
  const c10::impl::ExcludeDispatchKeyGuard below(c10::DispatchKey::FuncTorchBatched);
  const at::Tensor no_bias;
  const at::Tensor& bias_or_none = bias_any ? *bias_any : no_bias;
  // The innermost vmap that batches an operand; what it leaves batched is for those around it.
  const std::int64_t level =
      std::max({level_of(input_any), level_of(weight_any), level_of(bias_or_none)});
  if (level < 0) {
    return float8::linear(input_any, weight_any, bias_any, recipe);
  }
  const Operand input(input_any, level);
  const Operand weight(weight_any, level);
  const Operand bias(bias_or_none, level);
  std::int64_t samples = 0;
  for (const Operand* operand : {&input, &weight, &bias}) {
    samples = operand->dimension ? operand->value.size(*operand->dimension) : samples;
  }
  TORCH_CHECK(samples > 0, "[linear] torch.vmap needs at least one sample, got none");
  std::vector<at::Tensor> outputs;
  outputs.reserve(samples);
  for (std::int64_t i = 0; i < samples; ++i) {
    outputs.push_back(float8::linear(
        input.sample(i), weight.sample(i),
        bias_any ? std::optional<at::Tensor>(bias.sample(i)) : std::nullopt, recipe));
  }
  return at::functorch::makeBatched(at::stack(outputs), 0, level);
}

}  // namespace

TORCH_LIBRARY_IMPL(float8, FuncTorchBatched, m) { m.impl("linear", &linear_kernel<&linear>); }

}  // namespace float8::ops
