#include <yaml-cpp/emitter.h>
#include <yaml-cpp/emittermanip.h>

#include "src/config/section.h"

namespace float8 {
namespace {

Node to_node(bool value) { return {value, kNoLine}; }

Node to_node(const std::string& value) { return {value, kNoLine}; }

Node to_node(const std::optional<std::string>& value) {
  return value ? to_node(*value) : Node{nullptr, kNoLine};
}

Node to_node(const std::vector<std::string>& values) {
  List list;
  for (const std::string& value : values) {
    list.push_back(to_node(value));
  }
  return {std::move(list), kNoLine};
}

template <class Section>
Entry to_entry(std::string_view name, const Section& section) {
  Map map;
  for (const Key<Section>& key : keys_of<Section>()) {
    Node value = std::visit([&](auto member) { return to_node(section.*member); }, key.member);
    map.push_back({std::string(key.name), kNoLine, std::move(value)});
  }
  return {std::string(name), kNoLine, {std::move(map), kNoLine}};
}

/// Strings are always quoted: no text may turn into a number or a bool on the way back.
struct NodeEmitter {
  YAML::Emitter& out;

  void operator()(std::nullptr_t) const { out << YAML::Null; }
  void operator()(const std::string& value) const { out << YAML::DoubleQuoted << value; }
  void operator()(const List& list) const {
    out << YAML::Flow << YAML::BeginSeq;
    for (const Node& node : list) {
      std::visit(*this, node.value);
    }
    out << YAML::EndSeq;
  }
  void operator()(const Map& map) const {
    out << YAML::BeginMap;
    for (const Entry& entry : map) {
      out << YAML::Key << entry.key << YAML::Value;
      std::visit(*this, entry.value.value);
    }
    out << YAML::EndMap;
  }
  void operator()(auto value) const { out << value; }
};

}  // namespace

Document to_document(const Config& config) {
  Map sections;
  sections.push_back(to_entry(kCompileSection, config.compile));
  sections.push_back(to_entry(kFp8Section, config.fp8));
  return {"Config", {std::move(sections), kNoLine}};
}

std::string dump(const Config& config) {
  YAML::Emitter out;
  out.SetNullFormat(YAML::LowerNull);
  std::visit(NodeEmitter{out}, to_document(config).root.value);
  return std::string(out.c_str()) + "\n";
}

}  // namespace float8
