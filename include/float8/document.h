#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "float8/config.h"
#include "float8/export.h"

namespace float8 {

struct Node;
struct Entry;
using List = std::vector<Node>;
using Map = std::vector<Entry>;  ///< in the file's order, each key once

/// The line of what the command line set, in Node and ConfigProblem.
inline constexpr int kCommandLine = 0;
/// The line of what comes from no file and no command line, for example from Python objects.
inline constexpr int kNoLine = -1;

/// One value of a YAML document, typed by the core schema of YAML 1.2: `1e-5` is a number, `yes`
/// and `on` are strings.
struct FLOAT8_API Node {
  std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, List, Map> value;
  int line = kCommandLine;  ///< where the value starts, from 1

  /// The value of a key, or nullptr. Where this is no map: nullptr.
  [[nodiscard]] const Node* find(std::string_view key) const;
  [[nodiscard]] Node* find(std::string_view key);

  /// The value in an error's words: "true", "the integer 1", "the string `yes`", "a list".
  [[nodiscard]] std::string describe() const;
};

/// One key of a map, and its value.
struct Entry {
  std::string key;
  int line = kCommandLine;  ///< where the key stands, from 1
  Node value;
};

/// A configuration file as it was read: the root is a map.
struct Document {
  std::string source;  ///< what errors call it: the path
  Node root;
};

/// Keys to set on top of a file: a dotted key, list elements by number ("a.0.b"), and the value as
/// YAML text. Later ones win. Sections that are missing are made.
using Overrides = std::vector<std::pair<std::string, std::string>>;

/// Reads one YAML document from a file (UTF-8, with or without BOM).
///
/// Throws std::system_error where the system cannot open or read the file. Throws ConfigError,
/// with the line, for all that is no configuration: a directory, nothing in it, more than 1 MiB,
/// more than 32 levels, more than 100 000 values after the aliases are expanded, several
/// documents, a root that is no map, duplicate keys, keys that are no plain values, tabs as
/// indentation, merge keys, unknown tags, other encodings, numbers out of range, YAML errors.
/// None of these takes more than the time to read 1 MiB, or deep recursion.
FLOAT8_API Document load_document(const std::filesystem::path& path,
                                  const Overrides& overrides = {});

/// The same for text in memory; `source` is what errors call it.
FLOAT8_API Document parse_document(std::string_view text, std::string source,
                                   const Overrides& overrides = {});

/// What is wrong with one setting.
struct ConfigProblem {
  std::string source;
  int line = kNoLine;  ///< kCommandLine: the error names the command line instead of source:line
  std::string key;     ///< dotted; empty for the document as a whole
  std::string expected;
  std::string found;
  /// Names that may have been meant. The nearest to `found` (to the text between its backquotes,
  /// where it has some) is named, or all of them where none is near.
  std::vector<std::string> candidates = {};
  std::string advice = {};  ///< what to do, where that is not clear from the rest
};

/// The one form of configuration errors:
/// "[config] a.yaml:3: fp8.enabled: expected true or false, found the integer 1; <what to do>".
FLOAT8_API std::string config_error_message(const ConfigProblem& problem);

}  // namespace float8
