#pragma once

#include <string_view>

namespace float8 {

/// Whether `pattern` holds a character that makes it a glob: `*`, `?` or `[`.
bool is_glob(std::string_view pattern);

/// Whether the glob matches the whole text. Takes at most pattern.size() * text.size() steps.
bool glob_matches(std::string_view pattern, std::string_view text);

}  // namespace float8
