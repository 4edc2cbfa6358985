// The weights of a C++ model that CachedWeights finds by itself.

#include <gtest/gtest.h>
#include <torch/nn/modules/container/sequential.h>

#include <functional>

#include "float8/cached_weights.h"
#include "float8/convert.h"
#include "float8/linear.h"
#include "tests/cpp/ops/calls.h"

namespace float8::testing {
namespace {

Float8LinearConfig emulated() {
  Float8LinearConfig config = Float8LinearConfig::from_recipe_name("tensorwise");
  config.emulate = true;
  return config;
}

struct NestedImpl : torch::nn::Module {
  NestedImpl() {
    register_module("inner", inner);
    register_module("last", last);
  }
  torch::Tensor forward(const torch::Tensor& x) { return last(inner->forward(x)); }
  torch::nn::Sequential inner{Linear(32, 48), Linear(48, 32)};
  Linear last{32, 16};
};

int quantized(const std::function<void()>& forward) {
  const Calls calls;
  forward();
  return calls["float8::quantize"] + calls["float8::quantize_pair"];
}

TEST(CachedWeights, FindsTheConvertedLayersOfAModel) {
  NestedImpl model;
  convert_to_float8_training(model, emulated());
  const torch::Tensor x = torch::randn({16, 32}).requires_grad_();
  const auto forward = [&] { model.forward(x); };
  EXPECT_EQ(quantized(forward), 3 + 3) << "inputs and weights";
  const CachedWeights cached(model);
  forward();
  EXPECT_EQ(quantized(forward), 3) << "inputs alone";
}

TEST(CachedWeights, TakesAModelThatIsPartlyConverted) {
  torch::nn::Sequential model(Linear(32, 48), Linear(48, 32));
  model->ptr<LinearImpl>(0)->convert(emulated());
  const torch::Tensor x = torch::randn({16, 32}).requires_grad_();
  const CachedWeights cached(*model);
  const torch::Tensor want = model->forward(x);
  EXPECT_EQ(quantized([&] { EXPECT_TRUE(torch::equal(model->forward(x), want)); }), 1);
}

TEST(CachedWeights, TakesASingleLayer) {
  Linear layer(32, 48);
  layer->convert(emulated());
  const torch::Tensor x = torch::randn({16, 32}).requires_grad_();
  {
    const CachedWeights cached(*layer);
    layer->forward(x);
    EXPECT_EQ(quantized([&] { layer->forward(x); }), 1);
  }
  EXPECT_EQ(quantized([&] { layer->forward(x); }), 2) << "the scope has ended";
}

}  // namespace
}  // namespace float8::testing
