#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "float8/export.h"
#include "float8/format.h"

namespace float8 {

/// A configuration that cannot work. In Python: float8.ConfigError, a ValueError.
class FLOAT8_API ConfigError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
  ~ConfigError() override;
};

/// Whether a tensor is scaled and cast to FP8 (from its current values) or left as it is.
enum class ScalingType : std::uint8_t {
  kDynamic,   ///< "dynamic"
  kDisabled,  ///< "disabled"
};

/// Which elements share a scale.
enum class ScalingGranularity : std::uint8_t {
  kTensorwise,  ///< "tensorwise": all of them
  kAxiswise,    ///< "axiswise": those along the contraction dimension of the product
};

/// "dynamic" or "disabled".
FLOAT8_API std::string_view name_of(ScalingType type);
/// "tensorwise" or "axiswise".
FLOAT8_API std::string_view name_of(ScalingGranularity granularity);

/// How one operand of one product is cast to FP8.
struct FLOAT8_API CastConfig {
  ScalingType scaling_type = ScalingType::kDynamic;
  ScalingGranularity scaling_granularity = ScalingGranularity::kTensorwise;
  /// Empty: the operand's default, see Float8LinearConfig.
  std::optional<Format> target_dtype = std::nullopt;

  bool operator==(const CastConfig&) const = default;

  /// Throws ConfigError, naming `name`, for axiswise scaling that is disabled.
  void validate(std::string_view name) const;

  /// For example "dyn_ten_e4m3"; "auto" stands for a format that is not decided yet.
  [[nodiscard]] std::string short_str() const;
};

/// How one product is computed.
struct Float8GemmConfig {
  bool use_fast_accum = false;  ///< lower-precision accumulation; no effect in emulation

  bool operator==(const Float8GemmConfig&) const = default;
};

/// The recipes, by the names that YAML and Python use.
enum class Float8LinearRecipeName : std::uint8_t {
  kTensorwise,       ///< "tensorwise": one scale per tensor, gradients in E5M2
  kRowwise,          ///< "rowwise": one scale per row, E4M3 only, scales are powers of two
  kRowwiseWithGwHp,  ///< "rowwise_with_gw_hp": as rowwise, weight gradient in high precision
};

/// The valid recipe names, in the order of Float8LinearRecipeName.
FLOAT8_API const std::vector<std::string>& recipe_names();

/// How a linear layer computes its three products in FP8:
///
///     output      = input        @ weightᵀ
///     grad_input  = grad_output  @ weight
///     grad_weight = grad_outputᵀ @ input
///
/// The fields, their defaults and their rules are those of torchao 0.18's class of this name. The
/// optional casts fall back to the cast of the same tensor in its first product; formats that are
/// not given become E4M3 for input and weight, E5M2 for grad_output.
struct FLOAT8_API Float8LinearConfig {
  CastConfig cast_config_input = {};
  std::optional<CastConfig> cast_config_input_for_grad_weight = std::nullopt;
  CastConfig cast_config_weight = {};
  std::optional<CastConfig> cast_config_weight_for_grad_input = std::nullopt;
  CastConfig cast_config_grad_output = {};
  std::optional<CastConfig> cast_config_grad_output_for_grad_weight = std::nullopt;

  Float8GemmConfig gemm_config_output{.use_fast_accum = true};
  Float8GemmConfig gemm_config_grad_input = {};
  Float8GemmConfig gemm_config_grad_weight = {};

  bool enable_fsdp_float8_all_gather = false;      ///< FSDP2 gathers the weight as FP8
  bool pad_inner_dim = false;                      ///< convert sizes that need padding to 16
  bool emulate = false;                            ///< same casts, without FP8 hardware
  bool force_recompute_fp8_weight_in_bwd = false;  ///< quantize the weight again in backward
  bool round_scales_to_power_of_2 = false;         ///< round scales down to powers of two

  bool operator==(const Float8LinearConfig&) const = default;

  /// The configuration of a recipe; throws ConfigError, listing the valid names, for any other.
  static Float8LinearConfig from_recipe_name(std::string_view recipe_name);
  static Float8LinearConfig from_recipe_name(Float8LinearRecipeName recipe_name);

  /// The same configuration with every optional cast and every format filled in.
  ///
  /// Throws ConfigError where the parts do not fit together:
  ///   - axiswise scaling that is disabled;
  ///   - one operand of a product in FP8 and the other not;
  ///   - a tensor cast to different formats in its two products;
  ///   - an FP8 all-gather of a weight that is not scaled tensorwise in both of its products;
  ///   - E5M2 times E5M2, which no tensor core computes.
  /// The first three are torchao's rules; of the last two torchao checks a part, and fails or
  /// ignores the setting at run time in the rest.
  [[nodiscard]] Float8LinearConfig resolved() const;
};

/// The plain arguments of the operator float8::linear, made once for a layer.
///
/// A `*_blocks` list describes the scaling of one product D = A Bᵀ: {a_rows, a_inner, b_rows,
/// b_inner}, the shape of the block of each operand that shares one scale. Both operands are seen
/// with the contraction dimension last; 0 is the whole extent. A tensorwise operand is {0, 0}, a
/// rowwise one {1, 0}. An empty list is a product in high precision.
///
///     product      A             B         contraction over
///     output       input         weight    in_features
///     grad_input   grad_output   weightᵀ   out_features
///     grad_weight  grad_outputᵀ  inputᵀ    tokens
struct LinearRecipe {
  Format input_dtype = Format::kE4M3;
  Format weight_dtype = Format::kE4M3;
  Format grad_output_dtype = Format::kE5M2;
  std::vector<std::int64_t> output_blocks = {};
  std::vector<std::int64_t> grad_input_blocks = {};
  std::vector<std::int64_t> grad_weight_blocks = {};
  bool output_fast_accum = true;
  bool grad_input_fast_accum = false;
  bool grad_weight_fast_accum = false;
  bool power_of_two = false;
  bool recompute_weight = false;
  bool emulate = false;

  bool operator==(const LinearRecipe&) const = default;
};

/// The operator's arguments for `config`, which is resolved first (and so may throw ConfigError).
FLOAT8_API LinearRecipe make_recipe(const Float8LinearConfig& config);

}  // namespace float8
