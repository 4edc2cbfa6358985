#include "src/config/setting.h"

#include <algorithm>

#include "src/config/words.h"

namespace float8 {
namespace {

/// What to do about a string that was meant as a bool.
std::string bool_advice(const Node& node) {
  const auto* text = std::get_if<std::string>(&node.value);
  if (text == nullptr) {
    return "";
  }
  static const std::vector<std::string> kTrue = {"yes", "on", "y", "true"};
  static const std::vector<std::string> kFalse = {"no", "off", "n", "false"};
  for (const auto* words : {&kTrue, &kFalse}) {
    if (nearest(*text, *words, 0)) {
      return std::string("write ") + words->back() +
             ", without quotes: YAML 1.2 knows no other words";
    }
  }
  return "";
}

std::string expected_text(const Setting& setting, const std::string& otherwise) {
  return (setting.choices.empty() ? "text" : "one of " + joined(setting.choices)) + otherwise;
}

void read_text(const Setting& setting, const std::string& otherwise, std::string& value) {
  const auto* text = std::get_if<std::string>(&setting.node.value);
  const auto& choices = setting.choices;
  if (text == nullptr || (!choices.empty() && std::ranges::find(choices, *text) == choices.end())) {
    setting.fail(expected_text(setting, otherwise));
  }
  value = *text;
}

}  // namespace

void Setting::fail(const std::string& expected, const std::string& advice) const {
  const bool text = std::holds_alternative<std::string>(node.value);
  throw ConfigError(config_error_message({.source = source,
                                          .line = line,
                                          .key = key,
                                          .expected = expected,
                                          .found = node.describe(),
                                          .candidates = text ? choices : std::vector<std::string>{},
                                          .advice = advice}));
}

void read_setting(const Setting& setting, bool& value) {
  const bool* found = std::get_if<bool>(&setting.node.value);
  if (found == nullptr) {
    setting.fail("true or false", bool_advice(setting.node));
  }
  value = *found;
}

void read_setting(const Setting& setting, std::string& value) { read_text(setting, "", value); }

void read_setting(const Setting& setting, std::optional<std::string>& value) {
  if (std::holds_alternative<std::nullptr_t>(setting.node.value)) {
    value.reset();
    return;
  }
  read_text(setting, " or null", value.emplace());
}

void read_setting(const Setting& setting, std::vector<std::string>& value) {
  const auto* list = std::get_if<List>(&setting.node.value);
  if (list == nullptr) {
    const auto* text = std::get_if<std::string>(&setting.node.value);
    setting.fail("a list of names", text ? "write [\"" + shortened(*text) + "\"]" : "");
  }
  value.clear();
  for (const Node& node : *list) {
    const std::string key = setting.key + "." + std::to_string(value.size());
    const Setting element{setting.source, key, node.line, node, setting.choices};
    const auto* text = std::get_if<std::string>(&node.value);
    if (text == nullptr || text->empty()) {
      element.fail("text that is not empty");
    }
    value.push_back(*text);
  }
}

}  // namespace float8
