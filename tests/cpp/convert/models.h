#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>

#include <string>

#include "float8/linear.h"

namespace float8::testing {

inline Float8LinearConfig emulated(const std::string& recipe = "rowwise") {
  Float8LinearConfig config = Float8LinearConfig::from_recipe_name(recipe);
  config.emulate = true;
  return config;
}

/// A model with typed members, as users write them: two layers that fit and one that does not.
struct Mlp : torch::nn::Module {
  Mlp()
      : up(register_module("up", Linear(32, 64))),
        down(register_module("down", Linear(64, 32))),
        head(register_module("head", Linear(32, 10))) {}
  at::Tensor forward(const at::Tensor& x) { return head(down(at::relu(up(x)))); }

  Linear up;
  Linear down;
  Linear head;  ///< N is no multiple of 16
};

/// A model that still has a stock layer.
struct Mixed : torch::nn::Module {
  Mixed()
      : ours(register_module("ours", Linear(32, 32))),
        stock(register_module("stock", torch::nn::Linear(32, 32))) {}

  Linear ours;
  torch::nn::Linear stock;
};

/// What `call` throws as a ConfigError; "" where it throws nothing.
template <class Call>
std::string config_error_of(Call call) {
  try {
    call();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace float8::testing
