#include "float8/linear.h"

#include <torch/nn/functional/linear.h>
#include <torch/nn/init.h>
#include <torch/types.h>

#include <cmath>

#include "float8/ops.h"

namespace float8 {

LinearImpl::LinearImpl(const torch::nn::LinearOptions& options_) : options(options_) {
  LinearImpl::reset();
}

LinearImpl::~LinearImpl() = default;

void LinearImpl::reset() {
  weight =
      register_parameter("weight", torch::empty({options.out_features(), options.in_features()}));
  bias = options.bias() ? register_parameter("bias", torch::empty(options.out_features()))
                        : register_parameter("bias", {}, /*requires_grad=*/false);
  main_grad_.reset();  // of another weight, when clone() calls this
  reset_parameters();
}

void LinearImpl::reset_parameters() {
  // torch::nn::Linear's: uniform within 1 / sqrt(in_features), in the same order of random numbers.
  torch::nn::init::kaiming_uniform_(weight, std::sqrt(5));
  if (bias.defined()) {
    const double bound = 1.0 / std::sqrt(static_cast<double>(options.in_features()));
    torch::nn::init::uniform_(bias, -bound, bound);
  }
}

torch::Tensor LinearImpl::forward(const torch::Tensor& input) {
  if (!recipe_) {
    return torch::nn::functional::linear(input, weight, bias);
  }
  const auto bias_or_none = bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt;
  const auto main_grad =
      main_grad_.defined() ? std::optional<at::Tensor>(main_grad_) : std::nullopt;
  return linear(input, weight, bias_or_none, *recipe_, main_grad);
}

void LinearImpl::convert(const Float8LinearConfig& config) {
  recipe_ = make_recipe(config);
  config_ = config;
}

void LinearImpl::pretty_print(std::ostream& stream) const {
  stream << "float8::Linear(in_features=" << options.in_features()
         << ", out_features=" << options.out_features() << ", bias=" << std::boolalpha
         << options.bias();
  if (config_) {
    const Float8LinearConfig config = config_->resolved();
    stream << ", input=" << config.cast_config_input.short_str()
           << ", weight=" << config.cast_config_weight.short_str()
           << ", grad_output=" << config.cast_config_grad_output.short_str();
  }
  stream << ")";
}

}  // namespace float8
