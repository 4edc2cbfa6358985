#include "src/config/overrides.h"

#include <charconv>
#include <vector>

#include "src/config/document_builder.h"
#include "src/config/origin.h"
#include "src/config/section.h"
#include "src/config/words.h"

namespace float8 {
namespace {

Origin command_line(const std::string& key) { return {"command line", kCommandLine, key}; }

std::vector<std::string> split(const std::string& key) {
  std::vector<std::string> parts;
  for (std::size_t start = 0, end = 0; end != std::string::npos; start = end + 1) {
    end = key.find('.', start);
    parts.push_back(key.substr(start, end - start));
    if (parts.back().empty() || parts.size() > kMaxDepth) {
      command_line("").fail(0, "", "a dotted key such as fp8.recipe_name",
                            "`" + shortened(key) + "`");
    }
  }
  return parts;
}

/// The element of a list that `part` numbers.
Node& element(List& list, const std::string& key, const std::string& part) {
  std::size_t index = list.size();
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
  if (error != std::errc() || end != part.data() + part.size() || index >= list.size()) {
    command_line(key).fail(0, "",
                           "the number of an element, less than " + std::to_string(list.size()),
                           "`" + shortened(part) + "`", "replace the whole list instead");
  }
  return list[index];
}

/// The value of the key `part` in the node: made where it is missing. Null becomes a map.
Node& child(Node& node, const std::string& key, const std::string& part) {
  if (auto* list = std::get_if<List>(&node.value)) {
    return element(*list, key, part);
  }
  if (std::holds_alternative<std::nullptr_t>(node.value)) {
    node = Node{Map{}, kCommandLine};
  }
  auto* map = std::get_if<Map>(&node.value);
  if (map == nullptr) {
    command_line(key).fail(0, "", "a map or list above `" + shortened(part) + "`", node.describe());
  }
  if (Node* found = node.find(part)) {
    return *found;
  }
  return map->emplace_back(Entry{part, kCommandLine, {}}).value;
}

/// Removes the key from the map, under each spelling that it has.
void remove_key(Node& parent, const std::string& canonical) {
  const std::string prefix = canonical.substr(0, canonical.rfind('.') + 1);
  if (auto* map = std::get_if<Map>(&parent.value)) {
    std::erase_if(*map, [&](const Entry& entry) {
      return canonical_spelling(prefix + entry.key) == canonical;
    });
  }
}

void apply(Document& document, const std::string& key, const std::string& text) {
  const std::string canonical = canonical_spelling(key);
  const std::vector<std::string> parts = split(canonical);
  Node* node = &document.root;
  for (const std::string& part : parts) {
    if (&part == &parts.back()) {  // made anew below, so that its line is the command line
      remove_key(*node, canonical);
    }
    node = &child(*node, key, part);
  }
  *node = parse_yaml(text, command_line(key));
}

}  // namespace

void apply_overrides(Document& document, const Overrides& overrides) {
  for (const auto& [key, text] : overrides) {
    apply(document, key, text);
  }
}

}  // namespace float8
