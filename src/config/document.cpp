#include "float8/document.h"

#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "src/config/document_builder.h"
#include "src/config/overrides.h"
#include "src/config/text.h"
#include "src/config/words.h"

namespace float8 {
namespace {

struct Describer {
  std::string operator()(std::nullptr_t) const { return "null"; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(std::int64_t value) const {
    return "the integer " + std::to_string(value);
  }
  std::string operator()(double value) const {
    std::ostringstream text;
    text << "the number " << value;
    return text.str();
  }
  std::string operator()(const std::string& value) const {
    return "the string `" + shortened(value) + "`";
  }
  std::string operator()(const List& /*value*/) const { return "a list"; }
  std::string operator()(const Map& /*value*/) const { return "a map"; }
};

}  // namespace

const Node* Node::find(std::string_view key) const {
  const auto* map = std::get_if<Map>(&value);
  if (map == nullptr) {
    return nullptr;
  }
  const auto entry = std::ranges::find(*map, key, &Entry::key);
  return entry == map->end() ? nullptr : &entry->value;
}

Node* Node::find(std::string_view key) { return const_cast<Node*>(std::as_const(*this).find(key)); }

std::string Node::describe() const { return std::visit(Describer{}, value); }

Node parse_yaml(std::string_view bytes, const Origin& origin) {
  // Without the comment, yaml-cpp would close a quote that is still open at the last line's end.
  std::istringstream stream(std::string(checked_text(bytes, origin)) + "\n#");
  DocumentBuilder builder(origin);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    const bool open_quote = error.msg == YAML::ErrorMsg::EOF_IN_SCALAR;
    const bool given = origin.line == kCommandLine;
    origin.fail(error.mark.line + 1, "", "valid YAML",
                open_quote ? "a quote that is never closed" : "an error: " + error.msg,
                given ? "quote text that holds characters with a meaning in YAML" : "");
  }
  return builder.take();
}

Document parse_document(std::string_view text, std::string source, const Overrides& overrides) {
  Document document{std::move(source), {}};
  const Origin origin{document.source};
  document.root = parse_yaml(text, origin);
  if (std::holds_alternative<std::nullptr_t>(document.root.value)) {
    origin.fail(kNoLine, "", "a map of sections", "nothing", "write at least `fp8: {}`");
  }
  if (!std::holds_alternative<Map>(document.root.value)) {
    origin.fail(document.root.line, "", "a map of sections", document.root.describe());
  }
  apply_overrides(document, overrides);
  return document;
}

Document load_document(const std::filesystem::path& path, const Overrides& overrides) {
  return parse_document(read_file(path), path.string(), overrides);
}

}  // namespace float8
