#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "float8/config.h"
#include "float8/export.h"

namespace float8 {

/// What the plan needs to know of one linear layer of a model.
struct LinearInfo {
  std::string fqn = {};          ///< fully qualified name, for example "model.layers.0.mlp.up_proj"
  std::int64_t in_features = 0;  ///< K
  std::int64_t out_features = 0;  ///< N
  bool bias = false;
  std::string type_name = "Linear";
  bool plain = true;               ///< false: it computes something else than a linear layer does
  std::string why_not_plain = {};  ///< the reason that the report gives where `plain` is false
  bool excluded_by_filter_fn = false;     ///< the user's module_filter_fn said no
  std::vector<std::string> aliases = {};  ///< further names of the same module; filters match any
};

/// What happens to one layer, and why.
struct LayerDecision {
  std::string fqn;
  std::int64_t in_features = 0;
  std::int64_t out_features = 0;
  bool converted = false;
  std::string reason;

  bool operator==(const LayerDecision&) const = default;
};

/// The decision for every linear layer of a model, in the model's order.
struct FLOAT8_API ConversionReport {
  std::vector<LayerDecision> layers;
  std::vector<std::string> warnings;  ///< for example filter entries that match no layer

  [[nodiscard]] std::size_t converted() const;
  [[nodiscard]] std::size_t total() const { return layers.size(); }

  /// A table of all layers, the warnings, and "N of M linear layers converted".
  [[nodiscard]] std::string to_string() const;
};

/// The entry of filter_fqns that stands for the rule `gains_from_fp8` instead of for a name.
inline constexpr std::string_view kAutoFilterSmallKn = "auto_filter_small_kn";

/// Decides for each layer whether it is converted. It is unless, in this order:
///   1. it is not plain;
///   2. an entry of `filter_fqns` matches its name (see fqn_matches);
///   3. `excluded_by_filter_fn` is set;
///   4. K or N is no positive multiple of 16 (with `config.pad_inner_dim`: not positive);
///   5. filter_fqns holds "auto_filter_small_kn" and the layer is predicted to be slower in FP8.
/// Entries that match no layer become warnings.
///
/// Throws ConfigError for an invalid `config`, an empty entry of `filter_fqns` and, with the
/// reasons, where no layer would be converted.
FLOAT8_API ConversionReport plan_conversion(const std::vector<LinearInfo>& layers,
                                            const Float8LinearConfig& config,
                                            const std::vector<std::string>& filter_fqns = {});

/// The decision for one layer by the same rules, by itself.
FLOAT8_API LayerDecision plan_layer(const LinearInfo& layer, const Float8LinearConfig& config,
                                    const std::vector<std::string>& filter_fqns = {});

/// Whether an entry of filter_fqns matches a module's name. An entry without `*`, `?` and `[`
/// matches every name that contains it. Any other is a glob over the whole name: `*` is any text,
/// dots included, `?` one character, `[ab0-9]` one of those and `[!ab]` none of those.
FLOAT8_API bool fqn_matches(std::string_view pattern, std::string_view fqn);

}  // namespace float8
