#include "src/plan/glob.h"

#include <cstddef>

namespace float8 {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

/// The end of the class that starts at pattern[start] == '[', one past its ']'. A ']' right after
/// the opening bracket stands for itself. kNone where it never ends: '[' then stands for itself.
std::size_t end_of_class(std::string_view pattern, std::size_t start) {
  std::size_t first = start + 1;
  if (first < pattern.size() && pattern[first] == '!') {
    ++first;
  }
  const std::size_t close = pattern.find(']', first + 1);
  return close == kNone ? kNone : close + 1;
}

/// Whether `c` is in a class, given without its brackets.
bool class_matches(std::string_view members, char c) {
  const bool negated = members.front() == '!';
  if (negated) {
    members.remove_prefix(1);
  }
  bool found = false;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const bool range = i + 2 < members.size() && members[i + 1] == '-';
    const char last = range ? members[i + 2] : members[i];
    found = found || (members[i] <= c && c <= last);
    i += range ? 2 : 0;
  }
  return found != negated;
}

/// Matches one character against the pattern at `p`; returns where the pattern goes on, or kNone.
std::size_t match_one(std::string_view pattern, std::size_t p, char c) {
  if (p == pattern.size()) {
    return kNone;
  }
  if (pattern[p] == '[') {
    const std::size_t end = end_of_class(pattern, p);
    if (end != kNone) {
      return class_matches(pattern.substr(p + 1, end - p - 2), c) ? end : kNone;
    }
  }
  return pattern[p] == '?' || pattern[p] == c ? p + 1 : kNone;
}

}  // namespace

bool is_glob(std::string_view pattern) { return pattern.find_first_of("*?[") != kNone; }

bool glob_matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = kNone;   // the last '*' seen ...
  std::size_t star_text = 0;  // ... and how far its text reaches. No earlier one need be tried.
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
    } else if (const std::size_t next = match_one(pattern, p, text[t]); next != kNone) {
      p = next;
      ++t;
    } else if (star != kNone) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == kNone;
}

}  // namespace float8
