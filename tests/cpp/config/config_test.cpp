#include "float8/config.h"

#include <gtest/gtest.h>

#include "config_error.h"

namespace float8 {
namespace {

using testing::config_error;
using testing::has;

const CastConfig kAxiswise{.scaling_granularity = ScalingGranularity::kAxiswise};
const CastConfig kDisabled{.scaling_type = ScalingType::kDisabled};
const CastConfig kE5M2{.target_dtype = Format::kE5M2};

std::string resolve_error(const Float8LinearConfig& config) {
  return config_error([&] { static_cast<void>(config.resolved()); });
}

TEST(Float8LinearConfig, ResolvedFillsInCastsAndFormats) {
  Float8LinearConfig config;
  config.cast_config_input = kAxiswise;
  const Float8LinearConfig full = config.resolved();
  EXPECT_EQ(full.cast_config_input_for_grad_weight, full.cast_config_input);
  EXPECT_EQ(full.cast_config_input.short_str(), "dyn_axs_e4m3");
  EXPECT_EQ(full.cast_config_weight_for_grad_input.value().short_str(), "dyn_ten_e4m3");
  EXPECT_EQ(full.cast_config_grad_output_for_grad_weight.value().short_str(), "dyn_ten_e5m2");
  EXPECT_EQ(full.resolved(), full);
  EXPECT_EQ(config.cast_config_input.short_str(), "dyn_axs_auto");
}

TEST(Float8LinearConfig, RecipesByNameAndEnum) {
  EXPECT_EQ(Float8LinearConfig::from_recipe_name("tensorwise"), Float8LinearConfig{}.resolved());
  EXPECT_EQ(Float8LinearConfig::from_recipe_name("rowwise"),
            Float8LinearConfig::from_recipe_name(Float8LinearRecipeName::kRowwise));
  EXPECT_EQ(Float8LinearConfig::from_recipe_name("rowwise_with_gw_hp"),
            Float8LinearConfig::from_recipe_name(Float8LinearRecipeName::kRowwiseWithGwHp));
}

TEST(Float8LinearConfig, UnknownRecipeListsTheValidOnes) {
  const std::string error = config_error([] { Float8LinearConfig::from_recipe_name("tensorwse"); });
  EXPECT_TRUE(has(error, "tensorwise, rowwise, rowwise_with_gw_hp"));
  EXPECT_TRUE(has(error, "did you mean `tensorwise`?"));
  EXPECT_THROW(Float8LinearConfig::from_recipe_name(static_cast<Float8LinearRecipeName>(9)),
               ConfigError);
}

TEST(Float8LinearConfig, AxiswiseCannotBeDisabled) {
  Float8LinearConfig config;
  config.cast_config_weight = {ScalingType::kDisabled, ScalingGranularity::kAxiswise, {}};
  EXPECT_TRUE(has(resolve_error(config), "cast_config_weight"));
}

TEST(Float8LinearConfig, OperandsOfAProductAreBothInFp8OrNeither) {
  Float8LinearConfig config;
  config.cast_config_input_for_grad_weight = kDisabled;
  EXPECT_TRUE(has(resolve_error(config), "incompatible operand precision for grad_weight"));
  config.cast_config_grad_output_for_grad_weight = kDisabled;
  EXPECT_NO_THROW(static_cast<void>(config.resolved()));
}

TEST(Float8LinearConfig, ATensorHasOneFormat) {
  Float8LinearConfig config;
  config.cast_config_grad_output_for_grad_weight = CastConfig{.target_dtype = Format::kE4M3};
  EXPECT_TRUE(has(resolve_error(config), "grad_output must be cast to the same dtype"));
}

TEST(Float8LinearConfig, E5M2TimesE5M2IsRefused) {
  Float8LinearConfig config;
  config.cast_config_input = kE5M2;
  EXPECT_TRUE(has(resolve_error(config), "grad_weight needs an operand in e4m3"));
  config.cast_config_grad_output = CastConfig{.target_dtype = Format::kE4M3};
  EXPECT_NO_THROW(static_cast<void>(config.resolved()));
}

TEST(Float8LinearConfig, AllGatherNeedsTensorwiseWeights) {
  Float8LinearConfig config;
  config.enable_fsdp_float8_all_gather = true;
  EXPECT_NO_THROW(static_cast<void>(config.resolved()));
  config.cast_config_weight_for_grad_input = kAxiswise;
  EXPECT_TRUE(has(resolve_error(config), "enable_fsdp_float8_all_gather"));
  config.cast_config_weight = kAxiswise;
  config.cast_config_weight_for_grad_input.reset();
  EXPECT_TRUE(has(resolve_error(config), "dyn_axs_e4m3"));
  config.cast_config_weight = kDisabled;
  config.cast_config_input = kDisabled;
  EXPECT_TRUE(has(resolve_error(config), "dis_ten_e4m3"));
}

using Blocks = std::vector<std::int64_t>;

TEST(MakeRecipe, Tensorwise) {
  const LinearRecipe recipe = make_recipe(Float8LinearConfig{});
  EXPECT_EQ(recipe.output_blocks, Blocks({0, 0, 0, 0}));
  EXPECT_EQ(recipe.grad_input_blocks, Blocks({0, 0, 0, 0}));
  EXPECT_EQ(recipe.grad_weight_blocks, Blocks({0, 0, 0, 0}));
  EXPECT_EQ(recipe.grad_output_dtype, Format::kE5M2);
  EXPECT_TRUE(recipe.output_fast_accum);
  EXPECT_FALSE(recipe.grad_input_fast_accum || recipe.grad_weight_fast_accum);
  EXPECT_FALSE(recipe.power_of_two || recipe.recompute_weight || recipe.emulate);
}

TEST(MakeRecipe, RowwiseWithGwHpLeavesTheWeightGradientInHighPrecision) {
  const LinearRecipe recipe =
      make_recipe(Float8LinearConfig::from_recipe_name("rowwise_with_gw_hp"));
  EXPECT_EQ(recipe.output_blocks, Blocks({1, 0, 1, 0}));
  EXPECT_EQ(recipe.grad_input_blocks, Blocks({1, 0, 0, 0}));
  EXPECT_EQ(recipe.grad_weight_blocks, Blocks());
  EXPECT_EQ(recipe.grad_output_dtype, Format::kE4M3);
  EXPECT_TRUE(recipe.power_of_two);
}

TEST(MakeRecipe, OperandsOfTheGradientsAreInTheProductsOrder) {
  Float8LinearConfig config;
  config.cast_config_weight_for_grad_input = kAxiswise;  // B of grad_input
  config.cast_config_input_for_grad_weight = kAxiswise;  // B of grad_weight
  const LinearRecipe recipe = make_recipe(config);
  EXPECT_EQ(recipe.output_blocks, Blocks({0, 0, 0, 0}));
  EXPECT_EQ(recipe.grad_input_blocks, Blocks({0, 0, 1, 0}));
  EXPECT_EQ(recipe.grad_weight_blocks, Blocks({0, 0, 1, 0}));
}

TEST(MakeRecipe, CarriesTheFlags) {
  Float8LinearConfig config;
  config.emulate = true;
  config.force_recompute_fp8_weight_in_bwd = true;
  config.gemm_config_grad_weight.use_fast_accum = true;
  const LinearRecipe recipe = make_recipe(config);
  EXPECT_TRUE(recipe.emulate && recipe.recompute_weight && recipe.grad_weight_fast_accum);
  config.cast_config_input = kDisabled;
  EXPECT_THROW(make_recipe(config), ConfigError);
}

}  // namespace
}  // namespace float8
