// float8::Linear before it is converted: torch::nn::Linear in everything that a user can see.

#include "float8/linear.h"

#include <gtest/gtest.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/container/any.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/serialize.h>

#include <sstream>

namespace float8::testing {
namespace {

using torch::nn::LinearOptions;

template <class Module>
Module seeded(const LinearOptions& options) {
  torch::manual_seed(11);
  return Module(options);
}

const LinearOptions kWithBias = LinearOptions(32, 48);
const LinearOptions kWithoutBias = LinearOptions(32, 48).bias(false);

TEST(Linear, StartsFromTheSameBitsAsTorchs) {
  for (const LinearOptions& options : {kWithBias, kWithoutBias}) {
    const auto ours = seeded<Linear>(options);
    const at::Tensor next = torch::rand({3});
    const auto torchs = seeded<torch::nn::Linear>(options);
    const at::Tensor next_of_torch = torch::rand({3});
    EXPECT_TRUE(torch::equal(ours->weight, torchs->weight));
    EXPECT_EQ(ours->bias.defined(), options.bias());
    if (options.bias()) {
      EXPECT_TRUE(torch::equal(ours->bias, torchs->bias));
    }
    EXPECT_TRUE(torch::equal(next, next_of_torch)) << "it drew more or fewer random numbers";
  }
}

TEST(Linear, ComputesWhatTorchsDoes) {
  for (const LinearOptions& options : {kWithBias, kWithoutBias}) {
    auto ours = seeded<Linear>(options);
    auto torchs = seeded<torch::nn::Linear>(options);
    for (const std::vector<std::int64_t>& sizes :
         {std::vector<std::int64_t>{32}, {0, 32}, {7, 32}, {2, 3, 32}, {2, 3, 4, 32}}) {
      const at::Tensor x = torch::randn(sizes);
      EXPECT_TRUE(torch::equal(ours->forward(x), torchs->forward(x))) << x.sizes();
    }
    const at::Tensor x = torch::randn({7, 32});
    ours->forward(x).square().sum().backward();
    torchs->forward(x).square().sum().backward();
    EXPECT_TRUE(torch::equal(ours->weight.grad(), torchs->weight.grad()));
  }
}

TEST(Linear, HasTorchsNames) {
  const auto names = [](const torch::nn::Module& module) {
    return module.named_parameters().keys();
  };
  EXPECT_EQ(names(*Linear(kWithBias)), names(*torch::nn::Linear(kWithBias)));
  EXPECT_EQ(names(*Linear(kWithoutBias)), names(*torch::nn::Linear(kWithoutBias)));
  EXPECT_EQ(Linear(32, 48)->options.out_features(), 48);
}

template <class From, class To>
void expect_checkpoint_moves(From& from, To& to) {
  ASSERT_FALSE(torch::equal(from->weight, to->weight));
  std::stringstream file;
  torch::save(from, file);
  torch::load(to, file);
  EXPECT_TRUE(torch::equal(from->weight, to->weight));
  EXPECT_TRUE(torch::equal(from->bias, to->bias));
}

TEST(Linear, CheckpointsMoveToTorchsAndBack) {
  Linear ours(kWithBias);
  Linear ours_too(kWithBias);
  torch::nn::Linear torchs(kWithBias);
  expect_checkpoint_moves(ours, torchs);
  torch::nn::init::zeros_(torchs->weight);
  expect_checkpoint_moves(torchs, ours);
  ours_too->convert({});
  expect_checkpoint_moves(ours, ours_too);  // into a converted one
  EXPECT_TRUE(ours_too->is_float8());
  Linear plain(kWithBias);
  expect_checkpoint_moves(ours_too, plain);  // and out of it
  EXPECT_FALSE(plain->is_float8());
}

TEST(Linear, PrintsItself) {
  std::stringstream text;
  text << *Linear(kWithoutBias);
  EXPECT_EQ(text.str(), "float8::Linear(in_features=32, out_features=48, bias=false)");
}

TEST(Linear, WorksInSequentialAndAnyModule) {
  torch::nn::Sequential model(Linear(32, 48), Linear(48, 16));
  const at::Tensor x = torch::randn({5, 32});
  EXPECT_EQ(model->forward(x).sizes(), (std::vector<std::int64_t>{5, 16}));
  torch::nn::AnyModule any(Linear(32, 48));
  EXPECT_EQ(any.forward(x).sizes(), (std::vector<std::int64_t>{5, 48}));
}

TEST(Linear, ResetParametersDrawsThemAgain) {
  auto layer = seeded<Linear>(kWithBias);
  const at::Tensor first = layer->weight.detach().clone();
  const void* const data = layer->weight.data_ptr();
  layer->reset_parameters();
  EXPECT_FALSE(torch::equal(layer->weight, first));
  EXPECT_EQ(layer->weight.data_ptr(), data);
}

TEST(Linear, MovesToAnotherType) {
  Linear layer(kWithBias);
  layer->to(torch::kBFloat16);
  EXPECT_EQ(layer->weight.scalar_type(), torch::kBFloat16);
  EXPECT_EQ(layer->forward(torch::randn({5, 32}).to(torch::kBFloat16)).scalar_type(),
            torch::kBFloat16);
}

}  // namespace
}  // namespace float8::testing
