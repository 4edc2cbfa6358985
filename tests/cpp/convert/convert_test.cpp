#include "float8/convert.h"

#include <gmock/gmock.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/optim/sgd.h>

#include "tests/cpp/convert/models.h"

namespace float8::testing {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> names_of(const ConversionReport& report) {
  std::vector<std::string> names;
  for (const LayerDecision& layer : report.layers) {
    names.push_back(layer.fqn);
  }
  return names;
}

TEST(Convert, ReportsEachLayerAndWhy) {
  Mlp model;
  const ConversionReport report = convert_to_float8_training(model, emulated());
  const std::vector<LayerDecision> want = {
      {"up", 32, 64, true, "converted"},
      {"down", 64, 32, true, "converted"},
      {"head", 32, 10, false,
       "N is no multiple of 16 (K=32, N=10); pad_inner_dim would convert it"}};
  EXPECT_EQ(report.layers, want);
  EXPECT_TRUE(report.warnings.empty());
  EXPECT_THAT(report.to_string(), HasSubstr("2 of 3 linear layers converted"));
  EXPECT_TRUE(model.up->is_float8() && model.down->is_float8());
  EXPECT_FALSE(model.head->is_float8());
  EXPECT_EQ(model.up->config(), emulated());
}

TEST(Convert, APlanChangesNothing) {
  Mlp model;
  const ConversionReport plan = plan_conversion(model, emulated());
  EXPECT_FALSE(model.up->is_float8());
  EXPECT_EQ(plan.layers, convert_to_float8_training(model, emulated()).layers);
}

TEST(Convert, FiltersExcludeByNameAndWarnWhereNothingMatches) {
  Mlp model;
  const ConversionReport report =
      convert_to_float8_training(model, emulated(), {"down", "lm_head"});
  EXPECT_TRUE(model.up->is_float8());
  EXPECT_FALSE(model.down->is_float8());
  EXPECT_EQ(report.layers[1].reason, "excluded by `down` in filter_fqns");
  ASSERT_EQ(report.warnings.size(), 1U);
  EXPECT_THAT(report.warnings[0], HasSubstr("lm_head"));
}

TEST(Convert, NothingToConvertIsAnErrorWithTheReasons) {
  Mlp model;
  const std::string error = config_error_of([&] {
    convert_to_float8_training(model, emulated(), {"up", "d*n"});
  });
  EXPECT_THAT(error, HasSubstr("at least one linear layer must be converted, got none of 3"));
  EXPECT_THAT(error, HasSubstr("up: excluded by `up`"));
  EXPECT_THAT(error, HasSubstr("down: excluded by `d*n`"));
  EXPECT_THAT(error, HasSubstr("head: N is no multiple of 16"));
  torch::nn::Sequential empty;
  EXPECT_THAT(config_error_of([&] { convert_to_float8_training(*empty, emulated()); }),
              HasSubstr("got none of 0"));
}

TEST(Convert, AStockLayerIsAnErrorThatNamesItAndChangesNothing) {
  Mixed model;
  for (const bool plan_only : {false, true}) {
    const std::string error = config_error_of([&] {
      plan_only ? plan_conversion(model, emulated())
                : convert_to_float8_training(model, emulated());
    });
    EXPECT_EQ(
        error,
        "[convert_to_float8_training] every layer to convert must be a float8::Linear, got "
        "torch::nn::Linear at stock; declare it as float8::Linear, or name it in filter_fqns");
    EXPECT_FALSE(model.ours->is_float8());
  }
  convert_to_float8_training(model, emulated(), {"stock"});
  EXPECT_TRUE(model.ours->is_float8());
}

TEST(Convert, AnInvalidConfigurationChangesNothing) {
  Mlp model;
  Float8LinearConfig invalid = emulated();
  invalid.cast_config_weight.scaling_type = ScalingType::kDisabled;
  EXPECT_NE(config_error_of([&] { convert_to_float8_training(model, invalid); }), "");
  EXPECT_FALSE(model.up->is_float8());
}

TEST(Convert, ReachesSequentialModuleListAndNestedModels) {
  const Linear first(16, 16);
  torch::nn::Sequential inner(Linear(16, 32), Linear(32, 16));
  torch::nn::ModuleList list(first, inner);
  const ConversionReport report = convert_to_float8_training(*list, emulated());
  EXPECT_EQ(names_of(report), (std::vector<std::string>{"0", "1.0", "1.1"}));
  EXPECT_EQ(report.converted(), 3U);
  EXPECT_TRUE(first->is_float8());
}

TEST(Convert, ConvertsASingleLayerToo) {
  Linear layer(16, 16);
  const ConversionReport report = convert_to_float8_training(*layer, emulated());
  EXPECT_EQ(names_of(report), std::vector<std::string>{""});
  EXPECT_TRUE(layer->is_float8());
  EXPECT_THAT(report.to_string(), HasSubstr("(the model itself)"));
}

TEST(Convert, AModuleUnderTwoNamesIsOneLayer) {
  struct Tied : torch::nn::Module {
    Tied()
        : one(register_module("one", Linear(16, 16))),
          other(register_module("other", Linear(16, 16))) {
      register_module("again", one);
    }
    Linear one;
    Linear other;
  } model;
  EXPECT_EQ(names_of(plan_conversion(model, emulated())),
            (std::vector<std::string>{"one", "other"}));
  // A filter that matches its second name excludes it.
  const ConversionReport report = convert_to_float8_training(model, emulated(), {"again"});
  EXPECT_FALSE(model.one->is_float8());
  EXPECT_TRUE(model.other->is_float8());
  EXPECT_TRUE(report.warnings.empty());
}

TEST(Convert, ASecondConversionSaysThatItIsDone) {
  Mlp model;
  convert_to_float8_training(model, emulated("rowwise"));
  EXPECT_THAT(config_error_of([&] { convert_to_float8_training(model, emulated("tensorwise")); }),
              HasSubstr("up: it is converted already"));
  EXPECT_EQ(model.up->config(), emulated("rowwise"));
}

TEST(Convert, TakesTheSectionOfAFile) {
  Fp8Config section;
  section.enabled = true;
  section.recipe_name = "rowwise_with_gw_hp";
  section.emulate = true;
  section.filter_fqns = {"down"};
  Mlp model;
  EXPECT_EQ(convert_to_float8_training(model, section).converted(), 1U);
  EXPECT_EQ(model.up->config(), emulated("rowwise_with_gw_hp"));
}

TEST(Convert, ASectionThatIsDisabledLeavesTheModelAlone) {
  Mlp model;
  const ConversionReport report = convert_to_float8_training(model, Fp8Config{});
  EXPECT_EQ(report.total(), 0U);
  EXPECT_EQ(report.warnings,
            std::vector<std::string>{"fp8.enabled is false: the model is left in high precision"});
  EXPECT_FALSE(model.up->is_float8());
}

TEST(Convert, AnOptimizerMadeBeforeGoesOn) {
  torch::manual_seed(3);
  Mlp model;
  torch::optim::SGD optimizer(model.parameters(),
                              torch::optim::SGDOptions(/*lr=*/0.1).momentum(0.9));
  const at::Tensor x = torch::randn({16, 32});
  const at::Tensor y = torch::randn({16, 10});
  const auto step = [&] {
    const at::Tensor loss = (model.forward(x) - y).square().mean();
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    return loss.item<double>();
  };
  const double first = step();
  convert_to_float8_training(model, emulated());
  for (int i = 0; i < 30; ++i) {
    const at::Tensor before = model.up->weight.detach().clone();
    step();
    EXPECT_FALSE(torch::equal(model.up->weight, before));
  }
  EXPECT_LT(step(), 0.5 * first);
}

TEST(Convert, PaddingConvertsWhatItWouldLeaveAlone) {
  Mlp model;
  Float8LinearConfig config = emulated();
  config.pad_inner_dim = true;
  EXPECT_EQ(convert_to_float8_training(model, config).converted(), 3U);
  EXPECT_EQ(model.forward(torch::randn({4, 32})).sizes(), (std::vector<std::int64_t>{4, 10}));
}

}  // namespace
}  // namespace float8::testing
