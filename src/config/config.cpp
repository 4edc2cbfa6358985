#include "float8/config.h"

#include <string>

namespace float8 {
namespace {

/// Both casts of one tensor: of its first product, and of its second one.
struct TensorCasts {
  std::string_view tensor;
  std::string_view first_field;
  std::string_view second_field;
  CastConfig& first;
  std::optional<CastConfig>& second;
  Format default_dtype;
};

/// The casts of both operands of one product.
struct ProductCasts {
  std::string_view product;
  std::string_view a_field;
  std::string_view b_field;
  const CastConfig& a;
  const CastConfig& b;
};

std::string text(std::string_view view) { return std::string(view); }

[[noreturn]] void fail(const std::string& message) {
  throw ConfigError("[Float8LinearConfig] " + message);
}

std::string quoted(const CastConfig& cast) { return "`" + cast.short_str() + "`"; }

/// Fills in the second cast and the formats of one tensor; checks that its products agree on them.
void settle(const TensorCasts& casts) {
  CastConfig& first = casts.first;
  first.validate(casts.first_field);
  first.target_dtype = first.target_dtype.value_or(casts.default_dtype);
  CastConfig& second = casts.second ? *casts.second : casts.second.emplace(first);
  second.validate(casts.second_field);
  second.target_dtype = second.target_dtype.value_or(casts.default_dtype);
  if (first.target_dtype != second.target_dtype) {
    fail(text(casts.tensor) + " must be cast to the same dtype in both of its products, got " +
         text(casts.first_field) + " " + quoted(first) + " and " + text(casts.second_field) + " " +
         quoted(second) + "; set target_dtype of both to one dtype");
  }
}

void check_product(const ProductCasts& casts) {
  const bool a_disabled = casts.a.scaling_type == ScalingType::kDisabled;
  const bool b_disabled = casts.b.scaling_type == ScalingType::kDisabled;
  const std::string both = text(casts.a_field) + " " + quoted(casts.a) + " and " +
                           text(casts.b_field) + " " + quoted(casts.b);
  if (a_disabled != b_disabled) {
    fail("incompatible operand precision for " + text(casts.product) +
         ": both operands must be FP8 or both high precision, got " + both +
         "; set scaling_type of both to dynamic or both to disabled");
  }
  const bool both_e5m2 =
      casts.a.target_dtype == Format::kE5M2 && casts.b.target_dtype == Format::kE5M2;
  if (!a_disabled && both_e5m2) {
    fail("the product " + text(casts.product) + " needs an operand in e4m3, got " + both +
         "; no tensor core multiplies e5m2 by e5m2: set target_dtype of one to e4m3");
  }
}

void check_all_gather(const Float8LinearConfig& config) {
  if (!config.enable_fsdp_float8_all_gather) {
    return;
  }
  const CastConfig tensorwise;
  for (const CastConfig& cast :
       {config.cast_config_weight, config.cast_config_weight_for_grad_input.value()}) {
    if (cast.scaling_type != tensorwise.scaling_type ||
        cast.scaling_granularity != tensorwise.scaling_granularity) {
      fail("enable_fsdp_float8_all_gather needs weights scaled tensorwise, got " + quoted(cast) +
           "; the all-gather sends one scale per weight: use the tensorwise recipe or set "
           "enable_fsdp_float8_all_gather to false");
    }
  }
}

}  // namespace

ConfigError::~ConfigError() = default;

std::string_view name_of(ScalingType type) {
  return type == ScalingType::kDynamic ? "dynamic" : "disabled";
}

std::string_view name_of(ScalingGranularity granularity) {
  return granularity == ScalingGranularity::kTensorwise ? "tensorwise" : "axiswise";
}

void CastConfig::validate(std::string_view name) const {
  if (scaling_granularity == ScalingGranularity::kAxiswise &&
      scaling_type != ScalingType::kDynamic) {
    throw ConfigError("[CastConfig] " + text(name) +
                      " must have scaling_type dynamic when it is scaled axiswise, got " +
                      text(name_of(scaling_type)) + "; use tensorwise to disable a cast");
  }
}

std::string CastConfig::short_str() const {
  const std::string type = scaling_type == ScalingType::kDynamic ? "dyn" : "dis";
  const std::string axis = scaling_granularity == ScalingGranularity::kTensorwise ? "ten" : "axs";
  return type + "_" + axis + "_" + (target_dtype ? name_of(*target_dtype) : "auto");
}

Float8LinearConfig Float8LinearConfig::resolved() const {
  Float8LinearConfig config = *this;
  settle({"input", "cast_config_input", "cast_config_input_for_grad_weight",
          config.cast_config_input, config.cast_config_input_for_grad_weight, Format::kE4M3});
  settle({"weight", "cast_config_weight", "cast_config_weight_for_grad_input",
          config.cast_config_weight, config.cast_config_weight_for_grad_input, Format::kE4M3});
  settle({"grad_output", "cast_config_grad_output", "cast_config_grad_output_for_grad_weight",
          config.cast_config_grad_output, config.cast_config_grad_output_for_grad_weight,
          Format::kE5M2});
  check_all_gather(config);
  check_product({"output", "cast_config_input", "cast_config_weight", config.cast_config_input,
                 config.cast_config_weight});
  check_product({"grad_input", "cast_config_grad_output", "cast_config_weight_for_grad_input",
                 config.cast_config_grad_output, *config.cast_config_weight_for_grad_input});
  check_product({"grad_weight", "cast_config_grad_output_for_grad_weight",
                 "cast_config_input_for_grad_weight",
                 *config.cast_config_grad_output_for_grad_weight,
                 *config.cast_config_input_for_grad_weight});
  return config;
}

}  // namespace float8
