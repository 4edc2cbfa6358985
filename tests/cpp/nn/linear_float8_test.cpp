// float8::Linear once it is converted.

#include <gtest/gtest.h>
#include <torch/nn/modules/container/any.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/optim/sgd.h>

#include <sstream>

#include "float8/linear.h"
#include "float8/ops.h"
#include "tests/cpp/ops/backend.h"
#include "tests/cpp/ops/calls.h"

namespace float8::testing {
namespace {

Float8LinearConfig emulated(const char* recipe = "rowwise") {
  Float8LinearConfig config = Float8LinearConfig::from_recipe_name(recipe);
  config.emulate = true;
  return config;
}

Linear converted(const torch::nn::LinearOptions& options = torch::nn::LinearOptions(32, 48)) {
  Linear layer(options);
  layer->convert(emulated());
  return layer;
}

int products_of(const std::function<void()>& forward) {
  const Calls calls;
  forward();
  return calls["float8::scaled_mm"];
}

TEST(Float8Linear, ComputesTheOperatorsResult) {
  for (const std::string& recipe : recipe_names()) {
    Linear layer(32, 48);
    layer->convert(emulated(recipe.c_str()));
    const at::Tensor x = torch::randn({2, 5, 32});
    const at::Tensor want =
        linear(x, layer->weight, layer->bias, make_recipe(emulated(recipe.c_str())));
    EXPECT_TRUE(torch::equal(layer->forward(x), want)) << recipe;
  }
}

TEST(Float8Linear, KeepsItsParametersAndConfiguration) {
  Linear layer(32, 48);
  const at::Tensor weight = layer->weight;
  const at::Tensor bias = layer->bias;
  EXPECT_FALSE(layer->is_float8());
  EXPECT_FALSE(layer->config().has_value());
  layer->convert(emulated());
  EXPECT_TRUE(layer->is_float8());
  EXPECT_EQ(layer->config(), emulated());
  EXPECT_TRUE(layer->weight.is_same(weight) && layer->bias.is_same(bias));
  EXPECT_TRUE(layer->parameters()[0].is_same(weight));
}

TEST(Float8Linear, AnInvalidConfigurationChangesNothing) {
  Linear layer(32, 48);
  Float8LinearConfig invalid = emulated();
  invalid.cast_config_weight.scaling_type = ScalingType::kDisabled;
  EXPECT_THROW(layer->convert(invalid), ConfigError);
  EXPECT_FALSE(layer->is_float8());
  layer->convert(emulated());
  EXPECT_THROW(layer->convert(invalid), ConfigError);
  EXPECT_EQ(layer->config(), emulated());
}

TEST(Float8Linear, ACloneIsConvertedAndItsOwn) {
  Linear layer = converted();
  const auto copy = std::dynamic_pointer_cast<LinearImpl>(layer->clone());
  ASSERT_TRUE(copy);
  EXPECT_TRUE(copy->is_float8());
  EXPECT_EQ(copy->config(), layer->config());
  EXPECT_TRUE(torch::equal(copy->weight, layer->weight));
  EXPECT_FALSE(copy->weight.is_alias_of(layer->weight));
  const at::Tensor x = torch::randn({5, 32});
  EXPECT_TRUE(torch::equal(copy->forward(x), layer->forward(x)));
  EXPECT_EQ(products_of([&] { copy->forward(x); }), 1);

  const auto plain = std::dynamic_pointer_cast<LinearImpl>(Linear(32, 48)->clone());
  EXPECT_FALSE(plain->is_float8());
}

struct ParentImpl : torch::nn::Cloneable<ParentImpl> {
  ParentImpl() { ParentImpl::reset(); }
  void reset() override {
    first = register_module("first", Linear(32, 48));
    second = register_module("second", Linear(48, 16));
  }
  at::Tensor forward(const at::Tensor& x) { return second(first(x)); }
  Linear first{nullptr};
  Linear second{nullptr};
};
TORCH_MODULE(Parent);

// What data-parallel training does with a model; the members of the copy are its own.
TEST(Float8Linear, ACloneOfAParentIsConvertedToo) {
  Parent parent;
  parent->first->convert(emulated());
  const auto copy = std::dynamic_pointer_cast<ParentImpl>(parent->clone());
  const at::Tensor x = torch::randn({5, 32});
  EXPECT_TRUE(torch::equal(copy->forward(x), parent->forward(x)));
  EXPECT_EQ(products_of([&] { copy->forward(x); }), 1);
  EXPECT_TRUE(copy->first->is_float8());
  EXPECT_FALSE(copy->second->is_float8());
  copy->first->weight.detach().zero_();
  EXPECT_FALSE(torch::equal(copy->forward(x), parent->forward(x)));
}

TEST(Float8Linear, ComputesInFp8InsideSequentialAndAnyModule) {
  Linear layer = converted();
  torch::nn::Sequential sequential(layer);
  torch::nn::AnyModule any(layer);
  const at::Tensor x = torch::randn({5, 32});
  EXPECT_EQ(products_of([&] { sequential->forward(x); }), 1);
  EXPECT_EQ(products_of([&] { any.forward(x); }), 1);
}

TEST(Float8Linear, PrintsItsCasts) {
  std::stringstream text;
  text << *converted();
  EXPECT_EQ(text.str(),
            "float8::Linear(in_features=32, out_features=48, bias=true, input=dyn_axs_e4m3, "
            "weight=dyn_axs_e4m3, grad_output=dyn_axs_e4m3)");
}

TEST(Float8Linear, AFrozenWeightGetsNoGradient) {
  Linear layer = converted();
  layer->weight.requires_grad_(false);
  const at::Tensor x = torch::randn({5, 32}, torch::requires_grad());
  const int products = products_of([&] { layer->forward(x).sum().backward(); });
  EXPECT_EQ(products, 2);
  EXPECT_FALSE(layer->weight.grad().defined());
  EXPECT_TRUE(x.grad().defined() && layer->bias.grad().defined());
}

TEST(Float8Linear, MovesToAnotherTypeAndRefusesTheOthers) {
  Linear layer = converted();
  layer->to(torch::kBFloat16);
  EXPECT_EQ(layer->forward(torch::randn({5, 32}).to(torch::kBFloat16)).scalar_type(),
            torch::kBFloat16);
  layer->to(torch::kDouble);
  EXPECT_EQ(error_of([&] {
              layer->forward(torch::randn({5, 32}, torch::kDouble));
            }),
            "[linear] input must be float32, bfloat16 or float16 with at least 1 dimension, got "
            "[5, 32] Double on cpu; convert it first");
}

TEST(Float8Linear, WithoutEmulateItSaysWhatACpuLacks) {
  Linear layer(32, 48);
  layer->convert({});
  const std::string error = error_of([&] { layer->forward(torch::randn({5, 32})); });
  EXPECT_NE(error.find("got an input on cpu; set emulate"), std::string::npos) << error;
}

TEST(Float8Linear, TiedWeightsGatherBothGradients) {
  Linear first = converted(torch::nn::LinearOptions(32, 32).bias(false));
  Linear second = converted(torch::nn::LinearOptions(32, 32).bias(false));
  const at::Tensor x = torch::randn({5, 32});
  first->forward(x).sum().backward();
  const at::Tensor once = first->weight.grad().clone();
  first->weight.mutable_grad().reset();
  second->weight = first->weight;
  (first->forward(x).sum() + second->forward(x).sum()).backward();
  EXPECT_TRUE(torch::equal(first->weight.grad(), once * 2));
}

TEST(Float8Linear, Trains) {
  torch::manual_seed(5);
  Linear layer = converted();
  const at::Tensor x = torch::randn({64, 32});
  const at::Tensor y = x.matmul(torch::randn({32, 48}));
  torch::optim::SGD optimizer(layer->parameters(), /*lr=*/10.0);
  double first = 0;
  double last = 0;
  for (int step = 0; step < 60; ++step) {
    const at::Tensor loss = (layer->forward(x) - y).square().mean();
    last = loss.item<double>();
    first = step == 0 ? last : first;
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
  }
  EXPECT_LT(last, 0.1 * first);
}

}  // namespace
}  // namespace float8::testing
