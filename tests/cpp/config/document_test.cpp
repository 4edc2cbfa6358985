#include "float8/document.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <system_error>

#include "config_error.h"

namespace float8 {
namespace {

using testing::config_error;
using testing::has;

std::string parse_error(const std::string& text, const Overrides& overrides = {}) {
  return config_error([&] { parse_document(text, "a.yaml", overrides); });
}

const Node& at(const Document& document, std::string_view section, std::string_view key) {
  const Node* node = document.root.find(section);
  return *(node == nullptr ? nullptr : node->find(key));
}

TEST(ParseDocument, TypesAreThoseOfTheCoreSchema) {
  const Document document = parse_document(
      "a: {float: 1e-5, int: -7, hex: 0xff, bool: TRUE, text: yes, none: ~, quoted: '1'}",
      "a.yaml");
  EXPECT_EQ(std::get<double>(at(document, "a", "float").value), 1e-5);
  EXPECT_EQ(std::get<std::int64_t>(at(document, "a", "int").value), -7);
  EXPECT_EQ(std::get<std::int64_t>(at(document, "a", "hex").value), 255);
  EXPECT_TRUE(std::get<bool>(at(document, "a", "bool").value));
  EXPECT_EQ(std::get<std::string>(at(document, "a", "text").value), "yes");
  EXPECT_TRUE(std::holds_alternative<std::nullptr_t>(at(document, "a", "none").value));
  EXPECT_EQ(std::get<std::string>(at(document, "a", "quoted").value), "1");
}

TEST(ParseDocument, IntegersKeepAll64Bits) {
  const Document document =
      parse_document("a: {least: -9223372036854775808, most: 9223372036854775807}", "a.yaml");
  EXPECT_EQ(std::get<std::int64_t>(at(document, "a", "least").value), INT64_MIN);
  EXPECT_EQ(std::get<std::int64_t>(at(document, "a", "most").value), INT64_MAX);
  EXPECT_TRUE(
      has(parse_error("a: 9223372036854775808"), "a.yaml:1: a: expected a number in range"));
}

TEST(ParseDocument, LinesAreThoseOfTheFile) {
  const Document document = parse_document("# one\na:\n  b: 1\n", "a.yaml", {{"a.c", "2"}});
  const auto& entries = std::get<Map>(document.root.find("a")->value);
  EXPECT_EQ(entries[0].line, 3);
  EXPECT_EQ(entries[1].line, kCommandLine);
}

TEST(ParseDocument, DuplicateKeysNameBothLines) {
  const std::string error = parse_error("a:\n  b: 1\n  c: 2\n  b: 3\n");
  EXPECT_TRUE(has(error, "a.yaml:4: a: expected each key once, found `b` again"));
  EXPECT_TRUE(has(error, "line 2"));
}

TEST(ParseDocument, DepthIsLimitedAtThirtyTwo) {
  const auto nested = [](std::size_t levels) {
    return "a: " + std::string(levels, '[') + std::string(levels, ']');
  };
  EXPECT_NO_THROW(parse_document(nested(31), "a.yaml"));
  EXPECT_TRUE(has(parse_error(nested(32)), "at most 32 levels"));
  for (const std::string unit : {"[", "{", "- ", "? ", "{a: ", "[a: "}) {
    std::string text = "x:\n ";
    while (text.size() < 900'000) {
      text += unit;
    }
    EXPECT_TRUE(has(parse_error(text), "a.yaml")) << unit;
  }
}

TEST(ParseDocument, AliasesAreExpandedUpToALimit) {
  const Document document = parse_document("a: &x {k: [1, 2]}\nb: *x\n", "a.yaml");
  EXPECT_EQ(std::get<List>(at(document, "b", "k").value).size(), 2);
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 30; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 0; j < 9; ++j) {
      laughs += ", " + before;
    }
    laughs += "]\n";
  }
  EXPECT_TRUE(has(parse_error(laughs), "aliases that expand to at most 16 MiB"));
}

TEST(ParseDocument, ExpandedTextCountsToo) {
  const auto aliases = [](int count) {
    std::string text = "a: &a " + std::string(500'000, 'x') + "\nb: [";
    for (int i = 0; i < count; ++i) {
      text += "*a, ";
    }
    return text + "]";
  };
  EXPECT_NO_THROW(parse_document(aliases(30), "a.yaml"));
  EXPECT_TRUE(has(parse_error(aliases(35)), "aliases that expand to at most 16 MiB"));
}

TEST(ParseDocument, SizeIsLimited) {
  EXPECT_NO_THROW(parse_document("a: " + std::string(1'000'000, 'x'), "a.yaml"));
  EXPECT_TRUE(has(parse_error(std::string((1 << 20) + 1, '[')), "at most 1 MiB"));
}

TEST(ParseDocument, MessagesAreValidUtf8HoweverLongTheKey) {
  std::string key = "x";
  for (int i = 0; i < 300; ++i) {
    key += "\xC3\xA9";
  }
  const std::string error = parse_error(key + ": 1\n" + key + ": 2\n");
  EXPECT_TRUE(has(error, "\xC3\xA9...` again"));
}

TEST(ParseDocument, OverridesReachIntoListsAndMakeMaps) {
  const Document document = parse_document(
      "a: {list: [{b: 1}, {b: 2}], none: null}", "a.yaml",
      {{"a.list.1.b", "x"}, {"a.none.c", "true"}, {"new.d", "1"}, {"a.list.0", "[]"}});
  const List& list = std::get<List>(at(document, "a", "list").value);
  EXPECT_TRUE(std::get<List>(list[0].value).empty());
  EXPECT_EQ(std::get<std::string>(list[1].find("b")->value), "x");
  EXPECT_TRUE(std::get<bool>(at(document, "a", "none").find("c")->value));
  EXPECT_EQ(std::get<std::int64_t>(at(document, "new", "d").value), 1);
}

TEST(ParseDocument, BadOverridesNameTheCommandLine) {
  const std::string file = "a: {list: [1], text: x}";
  EXPECT_TRUE(has(parse_error(file, {{"a.list.1", "2"}}), "command line: a.list.1: expected"));
  EXPECT_TRUE(has(parse_error(file, {{"a.list.-1", "2"}}), "`-1`"));
  EXPECT_TRUE(has(parse_error(file, {{"a.text.b", "2"}}), "a map or list above `b`"));
  EXPECT_TRUE(
      has(parse_error(file, {{"a.b", "{c: 1, c: 2}"}}), "command line: a.b: expected each"));
  EXPECT_TRUE(has(parse_error(file, {{".a", "1"}}), "a dotted key"));
}

TEST(LoadDocument, MissingFilesAreSystemErrors) {
  try {
    load_document("no/such/file.yaml");
    FAIL() << "no error";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
    EXPECT_TRUE(has(error.what(), "no/such/file.yaml"));
  }
}

TEST(LoadDocument, DirectoriesAreConfigErrors) {
  const std::string error =
      config_error([] { load_document(std::filesystem::temp_directory_path()); });
  EXPECT_TRUE(has(error, "expected a YAML file, found a directory"));
}

TEST(ParseDocument, RandomTextIsReadOrRefused) {
  const std::string alphabet = "ab1.:- \n\n  []{},&*!|>'\"#%@~?<\t\r\\x/+\xC3\xA9";
  std::mt19937 random(1);  // the standard fixes its sequence
  int refused = 0;
  for (int i = 0; i < 5000; ++i) {
    std::string text;
    for (std::size_t left = random() % 60; left > 0; --left) {
      text += alphabet[random() % alphabet.size()];
    }
    try {
      parse_document(i % 2 == 0 ? text : "a:\n " + text, "a.yaml");
    } catch (const ConfigError& error) {
      ++refused;
      EXPECT_TRUE(has(error.what(), "[config] a.yaml")) << text;
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_LT(refused, 5000);
}

}  // namespace
}  // namespace float8
