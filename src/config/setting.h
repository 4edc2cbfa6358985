#pragma once

#include <optional>
#include <string>
#include <vector>

#include "float8/document.h"

namespace float8 {

/// One value of a document that is about to be read, with what an error about it says.
struct Setting {
  const std::string& source;
  std::string key;  ///< dotted
  int line;
  const Node& node;
  const std::vector<std::string>& choices;  ///< the valid texts; empty: any

  [[noreturn]] void fail(const std::string& expected, const std::string& advice = "") const;
};

/// Each reads the setting as one type and throws ConfigError where it has another one, or a text
/// that is no choice. Nothing is converted: a number is no bool, a string is no list.
void read_setting(const Setting& setting, bool& value);
void read_setting(const Setting& setting, std::string& value);
void read_setting(const Setting& setting, std::optional<std::string>& value);
void read_setting(const Setting& setting, std::vector<std::string>& value);

}  // namespace float8
