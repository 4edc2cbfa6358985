#include <algorithm>
#include <array>
#include <iterator>
#include <string>

#include "float8/plan.h"

namespace float8 {
namespace {

using Row = std::array<std::string, 4>;  // the last column is free text and needs no padding

Row row_of(const LayerDecision& layer) {
  return {layer.fqn.empty() ? "(the model itself)" : layer.fqn,
          "[" + std::to_string(layer.out_features) + ", " + std::to_string(layer.in_features) + "]",
          layer.converted ? "yes" : "no", layer.reason};
}

}  // namespace

std::size_t ConversionReport::converted() const {
  return static_cast<std::size_t>(std::ranges::count_if(layers, &LayerDecision::converted));
}

std::string ConversionReport::to_string() const {
  std::vector<Row> rows = {{"layer", "weight [N, K]", "FP8", "reason"}};
  std::ranges::transform(layers, std::back_inserter(rows), row_of);
  std::array<std::size_t, 3> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < widths.size(); ++i) {
      widths.at(i) = std::max(widths.at(i), row.at(i).size());
    }
  }
  std::string text;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < widths.size(); ++i) {
      text += row.at(i) + std::string(widths.at(i) - row.at(i).size() + 2, ' ');
    }
    text += row.back() + "\n";
  }
  for (const std::string& warning : warnings) {
    text += "warning: " + warning + "\n";
  }
  return text + std::to_string(converted()) + " of " + std::to_string(total()) +
         " linear layers converted";
}

}  // namespace float8
