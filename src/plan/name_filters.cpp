#include "src/plan/name_filters.h"

#include <algorithm>
#include <set>

#include "src/config/words.h"
#include "src/plan/glob.h"

namespace float8 {
namespace {

/// What a misspelt entry may have meant: whole names, and the parts between their dots.
std::vector<std::string> names_and_parts(const std::vector<LinearInfo>& layers) {
  std::set<std::string> names;
  for (const LinearInfo& layer : layers) {
    names.insert(layer.fqn);
    for (std::size_t start = 0, end = 0; end != std::string::npos; start = end + 1) {
      end = layer.fqn.find('.', start);
      names.insert(layer.fqn.substr(start, end - start));
    }
  }
  return {names.begin(), names.end()};
}

}  // namespace

bool fqn_matches(std::string_view pattern, std::string_view fqn) {
  return is_glob(pattern) ? glob_matches(pattern, fqn) : fqn.find(pattern) != std::string::npos;
}

NameFilters::NameFilters(const std::vector<std::string>& filter_fqns) {
  for (const std::string& entry : filter_fqns) {
    if (entry.empty()) {
      throw ConfigError(
          "[plan_conversion] filter_fqns must hold names or globs, got an empty string, which "
          "would exclude every layer; remove it");
    }
    if (entry == kAutoFilterSmallKn) {
      filters_small_layers_ = true;
    } else {
      entries_.push_back({entry});
    }
  }
}

std::optional<std::string> NameFilters::first_match(const LinearInfo& layer) {
  std::optional<std::string> first;
  for (Entry& entry : entries_) {  // all of them: one that matches is used, even if not as first
    if (fqn_matches(entry.pattern, layer.fqn) ||
        std::any_of(layer.aliases.begin(), layer.aliases.end(),
                    [&](const std::string& alias) { return fqn_matches(entry.pattern, alias); })) {
      entry.matched = true;
      first = first.value_or(entry.pattern);
    }
  }
  return first;
}

std::vector<std::string> NameFilters::warnings(const std::vector<LinearInfo>& layers) const {
  std::vector<std::string> texts;
  for (const Entry& entry : entries_) {
    if (!entry.matched) {
      texts.push_back("filter_fqns: `" + entry.pattern + "` matches no linear layer" +
                      did_you_mean(entry.pattern, names_and_parts(layers)));
    }
  }
  return texts;
}

}  // namespace float8
