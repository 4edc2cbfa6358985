#pragma once

#include <torch/nn/cloneable.h>
#include <torch/nn/options/linear.h>
#include <torch/nn/pimpl.h>

#include <optional>
#include <ostream>
#include <utility>

#include "float8/config.h"
#include "float8/export.h"

namespace float8 {

/// A linear layer that computes like torch::nn::Linear until it is converted, and in FP8 from then
/// on.
///
/// Same options, same `weight` [N, K] and `bias` [N] (undefined without), same initial values from
/// the same seed, same names in a checkpoint: one `using float8::Linear;` in the place of torch's
/// is all that a model needs. Conversion (convert_to_float8_training) keeps the parameters, so that
/// an optimizer made before it goes on working; clone() and torch::save keep working too.
///
/// It is no torch::nn::LinearImpl: a copy of a model that holds one would drop what a subclass
/// adds.
class FLOAT8_API LinearImpl : public torch::nn::Cloneable<LinearImpl> {
 public:
  LinearImpl(std::int64_t in_features, std::int64_t out_features)
      : LinearImpl(torch::nn::LinearOptions(in_features, out_features)) {}
  explicit LinearImpl(const torch::nn::LinearOptions& options);
  ~LinearImpl() override;

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  /// input [..., K] -> [..., N]. Once converted, input is float32, bfloat16 or float16, and the
  /// errors are those of the operator float8::linear (ops.h).
  torch::Tensor forward(const torch::Tensor& input);

  /// Computes in FP8 from the next forward on. Throws ConfigError for an invalid configuration, and
  /// changes nothing then.
  void convert(const Float8LinearConfig& config);

  /// From the next forward on, once converted, the backward pass adds the weight's gradient to
  /// `main_grad` [N, K] float32 instead of leaving it in weight.grad(): for gradients that are
  /// summed in float32 over microbatches (Megatron's convention). Its owner zeroes it, and hands it
  /// to the optimizer. An undefined tensor ends that. Errors come with the next forward: those of
  /// the operator float8::linear (ops.h). clone() and checkpoints leave it out.
  void set_main_grad(torch::Tensor main_grad) { main_grad_ = std::move(main_grad); }
  /// What set_main_grad was called with.
  [[nodiscard]] const torch::Tensor& main_grad() const { return main_grad_; }

  /// Whether convert was called.
  [[nodiscard]] bool is_float8() const { return recipe_.has_value(); }
  /// What convert was called with; empty before.
  [[nodiscard]] const std::optional<Float8LinearConfig>& config() const { return config_; }

  torch::nn::LinearOptions options;
  torch::Tensor weight;
  torch::Tensor bias;

 private:
  std::optional<Float8LinearConfig> config_;
  std::optional<LinearRecipe> recipe_;
  torch::Tensor main_grad_;
};

/// A module holder for LinearImpl, to be used like torch::nn::Linear.
class Linear : public torch::nn::ModuleHolder<LinearImpl> {
 public:
  using torch::nn::ModuleHolder<LinearImpl>::ModuleHolder;
  using Impl [[maybe_unused]] = LinearImpl;
};

}  // namespace float8
