// A conversion that counts: every product of a converted layer is an FP8 one, forward and backward,
// and none is computed in high precision beside it. Counted in the dispatcher.

#include <gtest/gtest.h>
#include <torch/nn/modules/container/any.h>
#include <torch/nn/modules/container/sequential.h>

#include "float8/convert.h"
#include "float8/ops.h"
#include "tests/cpp/convert/models.h"
#include "tests/cpp/ops/calls.h"

namespace float8::testing {
namespace {

struct Products {
  int fp8;
  int high_precision;
  bool operator==(const Products&) const = default;
};

void PrintTo(const Products& products, std::ostream* stream) {
  *stream << products.fp8 << " FP8 and " << products.high_precision << " other products";
}

// What one training step multiplies. The CPU's scaled_mm calls BLAS, not operators, for bfloat16;
// for float32 it calls aten::mm, which is inside the FP8 product and not counted beside it.
template <class Model>
Products products_of_a_step(Model& model) {
  const at::Tensor x = torch::randn({8, 32}, torch::requires_grad());
  const Calls calls;
  model.forward(x).sum().backward();
  const int fp8 = calls["float8::scaled_mm"];
  const int all = calls["aten::mm"] + calls["aten::addmm"] + calls["aten::bmm"];
  return {fp8, all};
}

// On a machine without bfloat16 instructions the CPU's own aten::mm calls are those of scaled_mm.
int products_inside() {
  const at::Tensor data = torch::ones({16, 16}).to(at::kFloat8_e4m3fn);
  const at::Tensor one = torch::ones({1, 1});
  const Calls calls;
  scaled_mm(data, data, one, one, std::nullopt, at::kFloat);
  return calls["aten::mm"];
}

Products fp8_and_others(int fp8, int others) { return {fp8, others + fp8 * products_inside()}; }

TEST(Fp8Products, BeforeConversionThereAreNone) {
  Mlp model;
  EXPECT_EQ(products_of_a_step(model), fp8_and_others(0, 9));
}

TEST(Fp8Products, EveryConvertedLayerHasThree) {
  for (const char* recipe : {"tensorwise", "rowwise"}) {
    Mlp model;
    convert_to_float8_training(model, emulated(recipe));
    // Two layers in FP8; the head's three stay.
    EXPECT_EQ(products_of_a_step(model), fp8_and_others(6, 3)) << recipe;
  }
  Mlp model;
  convert_to_float8_training(model, emulated("rowwise_with_gw_hp"));
  EXPECT_EQ(products_of_a_step(model), fp8_and_others(4, 5));
}

TEST(Fp8Products, AFilteredLayerHasNone) {
  Mlp model;
  convert_to_float8_training(model, emulated(), {"down"});
  EXPECT_EQ(products_of_a_step(model), fp8_and_others(3, 6));
}

TEST(Fp8Products, SequentialForwardsThroughTheConvertedLayers) {
  torch::nn::Sequential model(Linear(32, 48), Linear(48, 16));
  convert_to_float8_training(*model, emulated());
  EXPECT_EQ(products_of_a_step(*model), fp8_and_others(6, 0));
}

TEST(Fp8Products, ACopyOfAModelIsConvertedToo) {
  torch::nn::Sequential model(Linear(32, 48), Linear(48, 16));
  convert_to_float8_training(*model, emulated());
  const auto copy = std::dynamic_pointer_cast<torch::nn::SequentialImpl>(model->clone());
  ASSERT_TRUE(copy);
  EXPECT_EQ(products_of_a_step(*copy), fp8_and_others(6, 0));
}

TEST(Fp8Products, ConversionReachesWhatAnAnyModuleHolds) {
  struct Holder : torch::nn::Module {
    Holder() : any(Linear(32, 48)) { register_module("any", any.ptr()); }
    at::Tensor forward(const at::Tensor& x) { return any.forward(x); }
    torch::nn::AnyModule any;
  } model;
  convert_to_float8_training(model, emulated());
  EXPECT_EQ(products_of_a_step(model), fp8_and_others(3, 0));
}

}  // namespace
}  // namespace float8::testing
