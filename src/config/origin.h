#pragma once

#include <optional>
#include <string>

#include "float8/document.h"

namespace float8 {

/// Where YAML text comes from, for errors about it.
struct Origin {
  std::string source;
  std::optional<int> line = std::nullopt;  ///< what every line of the text counts as, if given
  std::string key = {};                    ///< the dotted key that the text is the value of

  [[nodiscard]] int line_of(int line_of_text) const { return line.value_or(line_of_text); }

  /// Throws the ConfigError about a line of the text; `subkey` is a dotted key inside it.
  [[noreturn]] void fail(int line_of_text, const std::string& subkey, const std::string& expected,
                         const std::string& found, const std::string& advice = "") const {
    const std::string separator = key.empty() || subkey.empty() ? "" : ".";
    throw ConfigError(config_error_message({.source = source,
                                            .line = line_of(line_of_text),
                                            .key = key + separator + subkey,
                                            .expected = expected,
                                            .found = found,
                                            .advice = advice}));
  }
};

/// Parses YAML text of any kind of root; null where there is nothing in it. Throws ConfigError as
/// load_document does.
Node parse_yaml(std::string_view bytes, const Origin& origin);

}  // namespace float8
