#include "src/config/document_builder.h"

#include <algorithm>
#include <utility>

#include "src/config/scalar.h"
#include "src/config/words.h"

namespace float8 {
namespace {

/// The memory that a copy of the node takes, and the levels below it.
std::pair<std::size_t, std::size_t> measure(const Node& node) {
  std::size_t bytes = sizeof(Node);
  std::size_t height = 0;
  const auto include = [&](const Node& child) {
    const auto [child_bytes, child_height] = measure(child);
    bytes += child_bytes;
    height = std::max(height, child_height + 1);
  };
  if (const auto* text = std::get_if<std::string>(&node.value)) {
    bytes += text->size();
  } else if (const auto* list = std::get_if<List>(&node.value)) {
    std::ranges::for_each(*list, include);
  } else if (const auto* map = std::get_if<Map>(&node.value)) {
    for (const Entry& entry : *map) {
      bytes += sizeof(Entry) + entry.key.size();
      include(entry.value);
    }
  }
  return {bytes, height};
}

}  // namespace

void DocumentBuilder::OnDocumentStart(const YAML::Mark& mark) {
  if (++documents_ > 1) {
    fail(line_of(mark), "one YAML document", "another one, or text after the end of the first",
         "remove it, or check the indentation above");
  }
}

void DocumentBuilder::OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) {
  require_value_place(line_of(mark), "null");
  add(Node{nullptr, line_of(mark)}, anchor);
}

void DocumentBuilder::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
  const int line = line_of(mark);
  require_value_place(line, "an alias");
  const auto found = anchored_.find(anchor);
  if (found == anchored_.end()) {
    fail(line, "an alias of an earlier value", "an alias of the value that it is part of",
         "write the value out");
  }
  if (frames_.size() + found->second.height > kMaxDepth) {
    fail(line, "at most " + std::to_string(kMaxDepth) + " levels", "an alias that nests deeper",
         "write the value out");
  }
  charge(found->second.bytes, line);
  add(found->second.node, 0);
}

void DocumentBuilder::OnScalar(const YAML::Mark& mark, const std::string& tag,
                               YAML::anchor_t anchor, const std::string& value) {
  const int line = line_of(mark);
  if (awaits_key()) {
    add_key(tag, value, line);
    return;
  }
  std::optional<Node> node = resolve_scalar(tag, value, line);
  if (!node) {
    const bool plain = tag == "?";
    fail(line, plain ? "a number in range" : "a value of YAML's core schema",
         "`" + shortened(value) + "`" + (plain ? "" : " with the tag `" + shortened(tag) + "`"),
         plain ? "quote it if it is text" : "remove the tag");
  }
  add(std::move(*node), anchor);
}

void DocumentBuilder::OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                                      YAML::anchor_t anchor, YAML::EmitterStyle::value /*style*/) {
  open(Node{List{}, line_of(mark)}, tag, "seq", anchor);
}

void DocumentBuilder::OnMapStart(const YAML::Mark& mark, const std::string& tag,
                                 YAML::anchor_t anchor, YAML::EmitterStyle::value /*style*/) {
  open(Node{Map{}, line_of(mark)}, tag, "map", anchor);
}

void DocumentBuilder::fail(int line, const std::string& expected, const std::string& found,
                           const std::string& advice) const {
  origin_.fail(line, path(), expected, found, advice);
}

int DocumentBuilder::line_of(const YAML::Mark& mark) const {
  return origin_.line_of(mark.line + 1);
}

/// The dotted key of the place that the parser has reached.
std::string DocumentBuilder::path() const {
  std::string text;
  for (const Frame& frame : frames_) {
    const auto* list = std::get_if<List>(&frame.node.value);
    if (list == nullptr && !frame.awaits_value) {
      break;
    }
    text +=
        (text.empty() ? "" : ".") + (list != nullptr ? std::to_string(list->size())
                                                     : std::get<Map>(frame.node.value).back().key);
  }
  return text;
}

bool DocumentBuilder::awaits_key() const {
  return !frames_.empty() && std::holds_alternative<Map>(frames_.back().node.value) &&
         !frames_.back().awaits_value;
}

void DocumentBuilder::open(Node node, const std::string& tag, const std::string& type,
                           YAML::anchor_t anchor) {
  require_value_place(node.line, node.describe());
  if (tag != "?" && tag != "!" && !tag.empty() && tag != "tag:yaml.org,2002:" + type) {
    fail(node.line, "a value of YAML's core schema",
         node.describe() + " with the tag `" + shortened(tag) + "`", "remove the tag");
  }
  if (frames_.size() == kMaxDepth) {
    fail(node.line, "at most " + std::to_string(kMaxDepth) + " levels", "one more",
         "check the brackets and the indentation");
  }
  frames_.push_back({std::move(node), anchor});
}

void DocumentBuilder::close() {
  Frame frame = std::move(frames_.back());
  frames_.pop_back();
  add(std::move(frame.node), frame.anchor);
}

/// Puts a complete value where it belongs, and keeps a copy of it for aliases.
void DocumentBuilder::add(Node node, YAML::anchor_t anchor) {
  if (anchor != 0) {
    const auto [bytes, height] = measure(node);
    charge(bytes, node.line);
    anchored_[anchor] = {node, bytes, height};
  }
  if (frames_.empty()) {
    root_ = std::move(node);
  } else if (auto* list = std::get_if<List>(&frames_.back().node.value)) {
    list->push_back(std::move(node));
  } else {
    std::get<Map>(frames_.back().node.value).back().value = std::move(node);
    frames_.back().awaits_value = false;
  }
}

void DocumentBuilder::add_key(const std::string& tag, const std::string& key, int line) {
  if (tag == "?" && key == "<<") {
    fail(line, "a key", "the merge key `<<`", "write the merged keys out");
  }
  Frame& frame = frames_.back();
  const auto [first, inserted] = frame.key_lines.emplace(key, line);
  if (!inserted) {
    fail(line, "each key once",
         "`" + shortened(key) + "` again (it is in line " + std::to_string(first->second) + ")",
         "remove one of the two");
  }
  std::get<Map>(frame.node.value).push_back({key, line, {}});
  frame.awaits_value = true;
}

void DocumentBuilder::require_value_place(int line, const std::string& found) const {
  if (awaits_key()) {
    fail(line, "a name as key", found, "write each key as plain text, and close each bracket");
  }
}

void DocumentBuilder::charge(std::size_t bytes, int line) {
  alias_bytes_ += bytes;
  if (alias_bytes_ > kMaxAliasBytes) {
    fail(line, "aliases that expand to at most 16 MiB", "more", "write the values out");
  }
}

}  // namespace float8
