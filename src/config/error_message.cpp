#include "float8/document.h"
#include "src/config/words.h"

namespace float8 {
namespace {

constexpr std::size_t kKeyBytes = 200;

std::string place(const ConfigProblem& problem) {
  if (problem.line == kCommandLine) {
    return "command line";
  }
  return problem.source + (problem.line > 0 ? ":" + std::to_string(problem.line) : "");
}

/// The text between the first two backquotes, or all of it.
std::string_view offending_word(std::string_view found) {
  const std::size_t open = found.find('`');
  const std::size_t close = open == std::string_view::npos ? open : found.find('`', open + 1);
  return close == std::string_view::npos ? found : found.substr(open + 1, close - open - 1);
}

}  // namespace

std::string config_error_message(const ConfigProblem& problem) {
  std::string text = "[config] " + place(problem) + ": ";
  if (!problem.key.empty()) {
    text += shortened(problem.key, kKeyBytes) + ": ";
  }
  text += "expected " + problem.expected + ", found " + problem.found;
  const std::string meant = did_you_mean(offending_word(problem.found), problem.candidates);
  if (!meant.empty()) {
    text += meant;
  } else if (!problem.candidates.empty()) {
    text += "; valid: " + joined(problem.candidates);
  }
  if (!problem.advice.empty()) {
    text += "; " + problem.advice;
  }
  return text;
}

}  // namespace float8
