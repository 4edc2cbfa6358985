#pragma once

#include <optional>
#include <string>
#include <vector>

#include "float8/plan.h"

namespace float8 {

/// The entries of filter_fqns, and which of them have matched a layer so far.
class NameFilters {
 public:
  /// Throws ConfigError for an empty entry.
  explicit NameFilters(const std::vector<std::string>& filter_fqns);

  /// The first entry that matches a name of the layer, if any does.
  std::optional<std::string> first_match(const LinearInfo& layer);

  /// A warning for each entry that has matched none of the layers, with the nearest name.
  [[nodiscard]] std::vector<std::string> warnings(const std::vector<LinearInfo>& layers) const;

  /// Whether the entry "auto_filter_small_kn" is among them.
  [[nodiscard]] bool filters_small_layers() const { return filters_small_layers_; }

 private:
  struct Entry {
    std::string pattern;
    bool matched = false;
  };

  std::vector<Entry> entries_;
  bool filters_small_layers_ = false;
};

}  // namespace float8
