#include "src/config/scalar.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <system_error>

namespace float8 {
namespace {

constexpr std::string_view kTagPrefix = "tag:yaml.org,2002:";

bool one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, text) != words.end();
}

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// Whether the text is an integer ([-+]?[0-9]+, 0o[0-7]+, 0x[0-9a-fA-F]+), and its base.
std::optional<int> integer_base(std::string_view text) {
  const auto prefixed = [&](std::string_view prefix, std::string_view digits) {
    return text.starts_with(prefix) && text.size() > prefix.size() &&
           text.find_first_not_of(digits, prefix.size()) == std::string_view::npos;
  };
  if (prefixed("0o", "01234567")) {
    return 8;
  }
  if (prefixed("0x", "0123456789abcdefABCDEF")) {
    return 16;
  }
  const bool sign = text.starts_with('-') || text.starts_with('+');
  return all_digits(text.substr(sign ? 1 : 0)) ? std::optional<int>(10) : std::nullopt;
}

/// Whether the text without its sign is (\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
bool is_decimal(std::string_view text) {
  const std::size_t exponent = text.find_first_of("eE");
  if (exponent != std::string_view::npos) {
    std::string_view digits = text.substr(exponent + 1);
    if (digits.starts_with('-') || digits.starts_with('+')) {
      digits.remove_prefix(1);
    }
    if (!all_digits(digits)) {
      return false;
    }
    text = text.substr(0, exponent);
  }
  const std::size_t point = text.find('.');
  if (point == std::string_view::npos) {
    return all_digits(text);
  }
  const std::string_view whole = text.substr(0, point);
  const std::string_view fraction = text.substr(point + 1);
  return (whole.empty() || all_digits(whole)) && (fraction.empty() || all_digits(fraction)) &&
         !(whole.empty() && fraction.empty());
}

std::optional<std::int64_t> to_integer(std::string_view text, int base) {
  text.remove_prefix(base == 10 ? (text.starts_with('+') ? 1 : 0) : 2);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

std::optional<double> to_float(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) {
    text.remove_prefix(1);
  }
  double number = 0;
  if (one_of(text, {".inf", ".Inf", ".INF"})) {
    number = std::numeric_limits<double>::infinity();
  } else if (!is_decimal(text)) {
    return std::nullopt;
  } else if (std::from_chars(text.data(), text.data() + text.size(), number).ec != std::errc()) {
    return std::nullopt;  // beyond a double's range
  }
  return negative ? -number : number;
}

bool is_float(std::string_view text) {
  const bool sign = text.starts_with('-') || text.starts_with('+');
  const std::string_view magnitude = text.substr(sign ? 1 : 0);
  return one_of(magnitude, {".inf", ".Inf", ".INF"}) || is_decimal(magnitude);
}

}  // namespace

std::optional<Node> resolve_scalar(const std::string& tag, const std::string& text, int line) {
  if (tag == "!" || tag == std::string(kTagPrefix) + "str") {
    return Node{text, line};
  }
  const bool plain = tag == "?";
  const auto may_be = [&](std::string_view type) {
    return plain || (tag.starts_with(kTagPrefix) && tag.substr(kTagPrefix.size()) == type);
  };
  if (may_be("null") && one_of(text, {"", "~", "null", "Null", "NULL"})) {
    return Node{nullptr, line};
  }
  if (may_be("bool") && one_of(text, {"true", "True", "TRUE"})) {
    return Node{true, line};
  }
  if (may_be("bool") && one_of(text, {"false", "False", "FALSE"})) {
    return Node{false, line};
  }
  if (const std::optional<int> base = integer_base(text); base && may_be("int")) {
    const std::optional<std::int64_t> number = to_integer(text, *base);
    return number ? std::optional(Node{*number, line}) : std::nullopt;
  }
  if (one_of(text, {".nan", ".NaN", ".NAN"}) && may_be("float")) {
    return Node{std::numeric_limits<double>::quiet_NaN(), line};
  }
  if (is_float(text) && may_be("float")) {
    const std::optional<double> number = to_float(text);
    return number ? std::optional(Node{*number, line}) : std::nullopt;
  }
  return plain ? std::optional(Node{text, line}) : std::nullopt;
}

}  // namespace float8
