#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace float8 {

/// The candidate that `word` is most likely a misspelling of, if one is near: letter case and
/// `-` for `_` do not count, and `most_edits` letters may differ (by default a third of them).
std::optional<std::string> nearest(std::string_view word,
                                   const std::vector<std::string>& candidates,
                                   std::optional<std::size_t> most_edits = std::nullopt);

/// "; did you mean `x`?", or nothing where no candidate is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

/// The text, or its first `most` bytes and "..."; never a part of a UTF-8 character.
std::string shortened(std::string_view text, std::size_t most = 60);

/// The words, separated by commas.
std::string joined(const std::vector<std::string>& words);

}  // namespace float8
