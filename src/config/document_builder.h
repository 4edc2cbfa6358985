#pragma once

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/mark.h>

#include <cstddef>
#include <string>
#include <unordered_map>
#include <vector>

#include "float8/document.h"
#include "src/config/origin.h"

namespace float8 {

/// The deepest nesting of a configuration, and the most bytes that its aliases may expand to.
inline constexpr std::size_t kMaxDepth = 32;
inline constexpr std::size_t kMaxAliasBytes = std::size_t{16} << 20;

/// Builds the Node of one document from yaml-cpp's events, and refuses what yaml-cpp lets through
/// (see load_document). It throws before the parser recurses deeper than kMaxDepth.
class DocumentBuilder : public YAML::EventHandler {
 public:
  explicit DocumentBuilder(const Origin& origin) : origin_(origin) {}

  [[nodiscard]] Node take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override;
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override;
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override;
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override;
  void OnMapEnd() override { close(); }

 private:
  /// A list or map that is still open.
  struct Frame {
    Node node;
    YAML::anchor_t anchor = 0;
    std::unordered_map<std::string, int> key_lines = {};
    bool awaits_value = false;  ///< the last entry of a map has its key, but no value yet
  };

  struct Anchored {
    Node node;
    std::size_t bytes = 0;
    std::size_t height = 0;
  };

  [[noreturn]] void fail(int line, const std::string& expected, const std::string& found,
                         const std::string& advice) const;
  [[nodiscard]] int line_of(const YAML::Mark& mark) const;
  [[nodiscard]] std::string path() const;
  [[nodiscard]] bool awaits_key() const;
  void open(Node node, const std::string& tag, const std::string& type, YAML::anchor_t anchor);
  void close();
  void add(Node node, YAML::anchor_t anchor);
  void add_key(const std::string& tag, const std::string& key, int line);
  void require_value_place(int line, const std::string& found) const;
  void charge(std::size_t bytes, int line);

  const Origin& origin_;
  int documents_ = 0;
  Node root_;
  std::vector<Frame> frames_;
  std::unordered_map<YAML::anchor_t, Anchored> anchored_;
  std::size_t alias_bytes_ = 0;
};

}  // namespace float8
