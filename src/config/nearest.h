#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace float8 {

/// The candidate that `word` is most likely a misspelling of, if one is near: letter case and
/// `-` for `_` do not count, and about a third of the letters may differ.
std::optional<std::string> nearest(std::string_view word,
                                   const std::vector<std::string>& candidates);

/// "; did you mean `x`?", or nothing where no candidate is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

/// The words, separated by commas.
std::string joined(const std::vector<std::string>& words);

}  // namespace float8
