// Filters against names: a pattern in the first line, a name in the second. The matcher agrees with
// one that tries every way, and takes no more time than it promises.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "float8/plan.h"
#include "src/plan/glob.h"

namespace {

constexpr std::size_t kMaxForReference = 64;

// Whether `c` is in the class that begins after '[' at `p`; sets `next` behind its ']'. Returns
// false and next == 0 where the class never ends.
bool in_class(std::string_view pattern, std::size_t p, char c, std::size_t& next) {
  const bool negated = p < pattern.size() && pattern[p] == '!';
  p += negated ? 1 : 0;
  bool found = false;
  next = 0;
  for (std::size_t first = p; p < pattern.size(); ++p) {
    if (pattern[p] == ']' && p > first) {
      next = p + 1;
      return found != negated;
    }
    if (p + 2 < pattern.size() && pattern[p + 1] == '-' && pattern[p + 2] != ']') {
      found = found || (pattern[p] <= c && c <= pattern[p + 2]);
      p += 2;
    } else {
      found = found || pattern[p] == c;
    }
  }
  return false;
}

// Row by row: matches[j] says whether the pattern so far matches the first j characters.
bool reference(std::string_view pattern, std::string_view text) {
  std::vector<bool> matches(text.size() + 1);
  matches[0] = true;
  for (std::size_t p = 0; p < pattern.size();) {
    std::vector<bool> after(text.size() + 1);
    std::size_t next = p + 1;
    if (pattern[p] == '*') {
      bool any = false;
      for (std::size_t j = 0; j <= text.size(); ++j) {
        any = any || matches[j];
        after[j] = any;
      }
    } else {
      std::size_t end = 0;
      if (pattern[p] == '[') {
        in_class(pattern, p + 1, '\0', end);
      }
      for (std::size_t j = 0; j < text.size(); ++j) {
        std::size_t unused = 0;
        const bool one = end != 0 ? in_class(pattern, p + 1, text[j], unused)
                                  : pattern[p] == '?' || pattern[p] == text[j];
        after[j + 1] = matches[j] && one;
      }
      next = end != 0 ? end : next;
    }
    matches = after;
    p = next;
  }
  return matches[text.size()];
}

void require(bool condition, const char* what, std::string_view pattern, std::string_view text) {
  if (!condition) {
    std::fprintf(stderr, "broken: %s\npattern `%.*s`\ntext    `%.*s`\n", what,
                 static_cast<int>(pattern.size()), pattern.data(), static_cast<int>(text.size()),
                 text.data());
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view pattern = input.substr(0, input.find('\n'));
  const std::string_view text =
      pattern.size() == size ? std::string_view() : input.substr(pattern.size() + 1);
  const bool matches = float8::glob_matches(pattern, text);
  if (pattern.size() <= kMaxForReference && text.size() <= kMaxForReference) {
    require(matches == reference(pattern, text), "two matchers agree", pattern, text);
  }
  if (!float8::is_glob(pattern)) {
    require(matches == (pattern == text), "what is no glob matches itself", pattern, text);
    require(float8::fqn_matches(pattern, text) == (text.find(pattern) != std::string_view::npos),
            "an entry that is no glob matches a part", pattern, text);
  }
  try {
    const float8::LinearInfo layer = {
        .fqn = std::string(text), .in_features = 32, .out_features = 32};
    const auto decision = float8::plan_layer(layer, {}, {std::string(pattern)});
    require(decision.converted != float8::fqn_matches(pattern, text) ||
                pattern == float8::kAutoFilterSmallKn,
            "a layer is converted unless its name matches", pattern, text);
  } catch (const float8::ConfigError&) {
    require(pattern.empty(), "only an empty entry is an error", pattern, text);
  }
  return 0;
}
