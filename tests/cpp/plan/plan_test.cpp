#include "float8/plan.h"

#include <gtest/gtest.h>

#include "../config/config_error.h"

namespace float8 {
namespace {

using testing::config_error;
using testing::has;

LinearInfo layer(const std::string& fqn, std::int64_t k = 64, std::int64_t n = 32) {
  return {.fqn = fqn, .in_features = k, .out_features = n};
}

/// The reason for one layer beside one that is always converted.
std::string reason(const LinearInfo& info, const std::vector<std::string>& filters = {},
                   const Float8LinearConfig& config = {}) {
  const ConversionReport report = plan_conversion({info, layer("always")}, config, filters);
  EXPECT_TRUE(report.layers[1].converted);
  EXPECT_EQ(report.layers[0].converted, report.layers[0].reason.starts_with("converted"));
  return report.layers[0].reason;
}

TEST(PlanConversion, ConvertsWhatNothingExcludes) { EXPECT_EQ(reason(layer("a")), "converted"); }

TEST(PlanConversion, SaysWhyALayerIsLeftAlone) {
  LinearInfo lora = layer("a");
  lora.plain = false;
  lora.why_not_plain = "LoraLinear has a forward of its own";
  EXPECT_EQ(reason(lora), "LoraLinear has a forward of its own");
  LinearInfo filtered = layer("a");
  filtered.excluded_by_filter_fn = true;
  EXPECT_EQ(reason(filtered), "excluded by module_filter_fn");
  EXPECT_EQ(reason(layer("model.lm_head"), {"x", "lm_head"}),
            "excluded by `lm_head` in filter_fqns");
  EXPECT_TRUE(has(reason(layer("a", 40, 32)), "K is no multiple of 16 (K=40, N=32)"));
  EXPECT_TRUE(has(reason(layer("a", 64, 10)), "N is no multiple of 16 (K=64, N=10)"));
  EXPECT_TRUE(has(reason(layer("a", 1, 1)), "K and N are no multiples of 16"));
  EXPECT_TRUE(has(reason(layer("a", 0, 32)), "empty"));
}

TEST(PlanConversion, PadInnerDimConvertsSizesThatAreNoMultiples) {
  Float8LinearConfig config;
  config.pad_inner_dim = true;
  EXPECT_EQ(reason(layer("a", 40, 10), {}, config), "converted, padded to K=48, N=16");
  EXPECT_EQ(reason(layer("a", 64, 32), {}, config), "converted");
  EXPECT_TRUE(has(reason(layer("a", 40, 0), {}, config), "empty"));
}

TEST(PlanConversion, UnmatchedFiltersAreWarningsWithTheNearestName) {
  const std::vector<LinearInfo> layers = {layer("model.lm_head"), layer("model.up_proj"),
                                          layer("model.down_proj")};
  const auto report = plan_conversion(layers, {}, {"lm_haed", "nothing", "up_proj", "*.up_proj"});
  ASSERT_EQ(report.warnings.size(), 2);
  EXPECT_EQ(report.warnings[0],
            "filter_fqns: `lm_haed` matches no linear layer; did you mean `lm_head`?");
  EXPECT_EQ(report.warnings[1], "filter_fqns: `nothing` matches no linear layer");
}

TEST(PlanConversion, AFilterMatchesEveryNameOfAModule) {
  LinearInfo tied = layer("model.embedding");
  tied.aliases = {"model.lm_head"};
  EXPECT_EQ(reason(tied, {"lm_head"}), "excluded by `lm_head` in filter_fqns");
}

TEST(PlanConversion, AutoFilterLeavesSmallLayersAlone) {
  const std::vector<LinearInfo> layers = {layer("small", 512, 512), layer("large", 4096, 14336)};
  const auto report = plan_conversion(layers, {}, {"auto_filter_small_kn"});
  EXPECT_TRUE(has(report.layers[0].reason, "auto_filter_small_kn: predicted 0."));
  EXPECT_TRUE(report.layers[1].converted);
  EXPECT_TRUE(report.warnings.empty());
  EXPECT_EQ(plan_conversion(layers, {}).converted(), 2);
}

TEST(PlanConversion, NothingToConvertIsAnErrorWithTheReasons) {
  const std::string error = config_error([] {
    plan_conversion({layer("a", 8, 8), layer("b")}, {}, {"b", "c"});
  });
  EXPECT_TRUE(has(error, "got none of 2"));
  EXPECT_TRUE(has(error, "a: K and N are no multiples of 16"));
  EXPECT_TRUE(has(error, "b: excluded by `b` in filter_fqns"));
  EXPECT_TRUE(has(error, "`c` matches no linear layer"));
  const std::vector<LinearInfo> many(15, layer("a", 8, 8));
  EXPECT_TRUE(has(config_error([&] { plan_conversion(many, {}); }), "and 5 more"));
  EXPECT_TRUE(has(config_error([] { plan_conversion({}, {}); }), "got none of 0"));
}

TEST(PlanConversion, RefusesEmptyFiltersAndInvalidConfigurations) {
  EXPECT_TRUE(has(config_error([] { plan_conversion({layer("a")}, {}, {""}); }), "empty string"));
  Float8LinearConfig config;
  config.cast_config_input.scaling_type = ScalingType::kDisabled;
  EXPECT_THROW(plan_conversion({layer("a")}, config), ConfigError);
}

TEST(ConversionReport, IsATableThatEndsInTheCount) {
  const auto report = plan_conversion({layer("model.a"), layer("b", 40, 16)}, {}, {"c"});
  EXPECT_EQ(report.to_string(),
            "layer    weight [N, K]  FP8  reason\n"
            "model.a  [32, 64]       yes  converted\n"
            "b        [16, 40]       no   K is no multiple of 16 (K=40, N=16); pad_inner_dim would"
            " convert it\n"
            "warning: filter_fqns: `c` matches no linear layer\n"
            "1 of 2 linear layers converted");
  EXPECT_EQ(report.converted(), 1);
  EXPECT_EQ(report.total(), 2);
}

TEST(ConversionReport, NamesAModelThatIsALayerItself) {
  EXPECT_TRUE(has(plan_conversion({layer("")}, {}).to_string(), "(the model itself)"));
}

}  // namespace
}  // namespace float8
