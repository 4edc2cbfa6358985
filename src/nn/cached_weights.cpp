#include "float8/cached_weights.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <utility>

#include "float8/linear.h"

namespace float8 {
namespace {

auto find(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<void(at::TensorList)>();
}

std::vector<at::Tensor> weights_of(const torch::nn::Module& model) {
  std::vector<at::Tensor> weights;
  for (const auto& module : model.modules(/*include_self=*/false)) {
    const auto* linear = dynamic_cast<const LinearImpl*>(module.get());
    if (linear != nullptr && linear->is_float8()) {
      weights.push_back(linear->weight);
    }
  }
  const auto* linear = dynamic_cast<const LinearImpl*>(&model);
  if (linear != nullptr && linear->is_float8()) {
    weights.push_back(linear->weight);
  }
  return weights;
}

}  // namespace

CachedWeights::CachedWeights(const torch::nn::Module& model) : CachedWeights(weights_of(model)) {}

CachedWeights::CachedWeights(std::vector<at::Tensor> weights) : weights_(std::move(weights)) {
  find("float8::cache_weights").call(weights_);
}

CachedWeights::~CachedWeights() { find("float8::release_weights").call(weights_); }

void CachedWeights::invalidate() {
  c10::Dispatcher::singleton()
      .findSchemaOrThrow("float8::invalidate_cached_weights", "")
      .typed<void()>()
      .call();
}

}  // namespace float8
