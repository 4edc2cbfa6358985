#include <algorithm>
#include <cstddef>
#include <string>

#include "float8/config.h"
#include "src/config/words.h"

namespace float8 {
namespace {

using Blocks = std::vector<std::int64_t>;

Blocks blocks_of(const CastConfig& a, const CastConfig& b) {
  if (a.scaling_type == ScalingType::kDisabled) {  // and so is b: resolved() saw to it
    return {};
  }
  const auto rows = [](const CastConfig& cast) -> std::int64_t {
    return cast.scaling_granularity == ScalingGranularity::kAxiswise ? 1 : 0;
  };
  return {rows(a), 0, rows(b), 0};
}

Float8LinearConfig rowwise() {
  const CastConfig cast{.scaling_granularity = ScalingGranularity::kAxiswise,
                        .target_dtype = Format::kE4M3};
  Float8LinearConfig config;
  config.cast_config_input = cast;
  config.cast_config_weight = cast;
  config.cast_config_grad_output = cast;
  config.round_scales_to_power_of_2 = true;
  return config;
}

Float8LinearConfig rowwise_with_gw_hp() {
  const CastConfig tensorwise{.target_dtype = Format::kE4M3};
  const CastConfig disabled{.scaling_type = ScalingType::kDisabled, .target_dtype = Format::kE4M3};
  Float8LinearConfig config = rowwise();
  config.cast_config_weight_for_grad_input = tensorwise;
  config.cast_config_input_for_grad_weight = disabled;
  config.cast_config_grad_output_for_grad_weight = disabled;
  return config;
}

}  // namespace

const std::vector<std::string>& recipe_names() {
  static const std::vector<std::string> kNames = {"tensorwise", "rowwise", "rowwise_with_gw_hp"};
  return kNames;
}

Float8LinearConfig Float8LinearConfig::from_recipe_name(Float8LinearRecipeName recipe_name) {
  switch (recipe_name) {
    case Float8LinearRecipeName::kTensorwise:
      return Float8LinearConfig{}.resolved();
    case Float8LinearRecipeName::kRowwise:
      return rowwise().resolved();
    case Float8LinearRecipeName::kRowwiseWithGwHp:
      return rowwise_with_gw_hp().resolved();
  }
  throw ConfigError("[Float8LinearConfig] recipe_name must be a Float8LinearRecipeName, got " +
                    std::to_string(static_cast<int>(recipe_name)));
}

Float8LinearConfig Float8LinearConfig::from_recipe_name(std::string_view recipe_name) {
  const std::vector<std::string>& names = recipe_names();
  const auto found = std::ranges::find(names, recipe_name);
  if (found == names.end()) {
    throw ConfigError("[Float8LinearConfig] recipe_name must be one of " + joined(names) +
                      ", got `" + std::string(recipe_name) + "`" +
                      did_you_mean(recipe_name, names));
  }
  return from_recipe_name(static_cast<Float8LinearRecipeName>(found - names.begin()));
}

LinearRecipe make_recipe(const Float8LinearConfig& config) {
  const Float8LinearConfig full = config.resolved();
  return {
      .input_dtype = full.cast_config_input.target_dtype.value(),
      .weight_dtype = full.cast_config_weight.target_dtype.value(),
      .grad_output_dtype = full.cast_config_grad_output.target_dtype.value(),
      .output_blocks = blocks_of(full.cast_config_input, full.cast_config_weight),
      .grad_input_blocks =
          blocks_of(full.cast_config_grad_output, full.cast_config_weight_for_grad_input.value()),
      .grad_weight_blocks = blocks_of(full.cast_config_grad_output_for_grad_weight.value(),
                                      full.cast_config_input_for_grad_weight.value()),
      .output_fast_accum = full.gemm_config_output.use_fast_accum,
      .grad_input_fast_accum = full.gemm_config_grad_input.use_fast_accum,
      .grad_weight_fast_accum = full.gemm_config_grad_weight.use_fast_accum,
      .power_of_two = full.round_scales_to_power_of_2,
      .recompute_weight = full.force_recompute_fp8_weight_in_bwd,
      .emulate = full.emulate,
  };
}

}  // namespace float8
