#include "float8/plan.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <utility>

#include "src/plan/cost_model.h"
#include "src/plan/name_filters.h"

namespace float8 {
namespace {

constexpr std::int64_t kAlignment = 16;  // what FP8 GEMMs ask of K and N
constexpr std::size_t kListedLayers = 10;

std::int64_t padded(std::int64_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

std::string shape_of(std::int64_t k, std::int64_t n) {
  return "K=" + std::to_string(k) + ", N=" + std::to_string(n);
}

std::string too_slow(double speedup, const std::string& shape) {
  std::array<char, 16> number{};
  std::snprintf(number.data(), number.size(), "%.2f", speedup);
  return std::string(kAutoFilterSmallKn) + ": predicted " + number.data() +
         "x the speed of BF16 (" + shape + ")";
}

/// The decision on a layer that nobody excludes.
LayerDecision decide_by_shape(LayerDecision decision, const LinearRecipe& recipe, bool pad,
                              bool filter_small) {
  const std::int64_t k = padded(decision.in_features);
  const std::int64_t n = padded(decision.out_features);
  const bool k_aligned = k == decision.in_features;
  const bool n_aligned = n == decision.out_features;
  const std::string shape = shape_of(decision.in_features, decision.out_features);
  if (decision.in_features <= 0 || decision.out_features <= 0) {
    decision.reason = "the weight is empty (" + shape + ")";
    return decision;
  }
  if (!pad && !(k_aligned && n_aligned)) {
    const std::string what = k_aligned   ? "N is no multiple"
                             : n_aligned ? "K is no multiple"
                                         : "K and N are no multiples";
    decision.reason = what + " of 16 (" + shape + "); pad_inner_dim would convert it";
    return decision;
  }
  if (const double speedup = predicted_speedup(k, n, recipe); filter_small && speedup < 1) {
    decision.reason = too_slow(speedup, shape);
    return decision;
  }
  decision.converted = true;
  decision.reason = k_aligned && n_aligned ? "converted" : "converted, padded to " + shape_of(k, n);
  return decision;
}

[[noreturn]] void fail_unconverted(const ConversionReport& report) {
  std::string text = "[plan_conversion] at least one linear layer must be converted, got none of " +
                     std::to_string(report.total()) +
                     "; change the filters or the model, or set fp8.enabled to false";
  for (std::size_t i = 0; i < std::min(report.total(), kListedLayers); ++i) {
    text += "\n  " + report.layers[i].fqn + ": " + report.layers[i].reason;
  }
  if (report.total() > kListedLayers) {
    text += "\n  and " + std::to_string(report.total() - kListedLayers) + " more";
  }
  for (const std::string& warning : report.warnings) {
    text += "\n  " + warning;
  }
  throw ConfigError(text);
}

LayerDecision decide(const LinearInfo& layer, const LinearRecipe& recipe, bool pad,
                     NameFilters& filters) {
  LayerDecision decision{layer.fqn, layer.in_features, layer.out_features, false, ""};
  const std::optional<std::string> filter = filters.first_match(layer);
  if (!layer.plain) {
    decision.reason = layer.why_not_plain;
  } else if (filter) {
    decision.reason = "excluded by `" + *filter + "` in filter_fqns";
  } else if (layer.excluded_by_filter_fn) {
    decision.reason = "excluded by module_filter_fn";
  } else {
    decision = decide_by_shape(std::move(decision), recipe, pad, filters.filters_small_layers());
  }
  return decision;
}

}  // namespace

LayerDecision plan_layer(const LinearInfo& layer, const Float8LinearConfig& config,
                         const std::vector<std::string>& filter_fqns) {
  NameFilters filters(filter_fqns);
  return decide(layer, make_recipe(config), config.pad_inner_dim, filters);
}

ConversionReport plan_conversion(const std::vector<LinearInfo>& layers,
                                 const Float8LinearConfig& config,
                                 const std::vector<std::string>& filter_fqns) {
  const LinearRecipe recipe = make_recipe(config);
  NameFilters filters(filter_fqns);
  ConversionReport report;
  report.layers.reserve(layers.size());
  for (const LinearInfo& layer : layers) {
    report.layers.push_back(decide(layer, recipe, config.pad_inner_dim, filters));
  }
  report.warnings = filters.warnings(layers);
  if (report.converted() == 0) {
    fail_unconverted(report);
  }
  return report;
}

}  // namespace float8
