#include "kernels/gemm/choice_line.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <memory>
#include <string_view>

namespace float8::kernels {
namespace {

constexpr std::string_view kAlgorithm = " algorithm=";
constexpr std::string_view kChecksum = " checksum=";
constexpr std::size_t kWordDigits = 16;

std::string hexadecimal(std::uint64_t value) {
  char digits[kWordDigits];
  char* end = std::to_chars(digits, digits + kWordDigits, value, 16).ptr;
  const std::string text(digits, end);
  return std::string(kWordDigits - text.size(), '0') + text;
}

bool read_hexadecimal(std::string_view text, std::uint64_t& value) {
  const char* begin = std::to_address(text.begin());
  const char* end = std::to_address(text.end());
  const auto [stop, error] = std::from_chars(begin, end, value, 16);
  return error == std::errc() && stop == end && text.size() == kWordDigits;
}

// FNV-1a in 64 bits.
std::uint64_t checksum_of(std::string_view text) {
  std::uint64_t value = 0xCBF29CE484222325U;
  for (const char c : text) {
    value = (value ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
  }
  return value;
}

}  // namespace

std::string to_line(const Choice& choice) {
  std::string line = choice.key;
  line += kAlgorithm;
  for (const std::uint64_t word : choice.algorithm.data) {
    line += hexadecimal(word);
  }
  const std::string checksum = hexadecimal(checksum_of(line));
  line += kChecksum;
  return line + checksum;
}

std::optional<Choice> from_line(const std::string& line) {
  const std::string_view text = line;
  const std::size_t algorithm = text.rfind(kAlgorithm);
  const std::size_t checksum = text.rfind(kChecksum);
  if (algorithm == std::string_view::npos || checksum == std::string_view::npos ||
      checksum < algorithm) {
    return {};
  }
  std::uint64_t sum = 0;
  if (!read_hexadecimal(text.substr(checksum + kChecksum.size()), sum) ||
      sum != checksum_of(text.substr(0, checksum))) {
    return {};
  }
  Choice choice = {.key = line.substr(0, algorithm), .algorithm = {}};
  const std::size_t begin = algorithm + kAlgorithm.size();
  const std::string_view digits = text.substr(begin, checksum - begin);
  if (digits.size() != std::size(choice.algorithm.data) * kWordDigits) {
    return {};
  }
  for (std::size_t i = 0; i < std::size(choice.algorithm.data); ++i) {
    if (!read_hexadecimal(digits.substr(i * kWordDigits, kWordDigits), choice.algorithm.data[i])) {
      return {};
    }
  }
  return choice;
}

std::string choice_key(const GemmProblem& problem, std::string device, std::size_t version) {
  std::replace_if(
      device.begin(), device.end(), [](char c) { return c <= ' '; }, '_');
  std::string key = "device=" + device + " cublaslt=" + std::to_string(version);
  const auto add = [&key](const char* name, auto value) {
    key += std::string(" ") + name + "=" + std::to_string(static_cast<std::int64_t>(value));
  };
  add("capability", problem.compute_capability);
  add("m", problem.m);
  add("n", problem.n);
  add("k", problem.k);
  for (const auto& [name, type] : {std::pair("a", problem.a), {"b", problem.b}, {"d", problem.d}}) {
    key += std::string(" ") + name + "=" + name_of(type);
  }
  add("outer", problem.scales == ScaleMode::kOuter);
  add("bias", problem.bias);
  add("accumulate", problem.accumulate);
  add("fast", problem.fast_accumulation);
  add("workspace", problem.workspace_bytes);
  add("align_a", problem.alignment_a);
  add("align_b", problem.alignment_b);
  add("align_d", problem.alignment_d);
  add("align_bias", problem.bias ? problem.alignment_bias : 0);
  return key;
}

}  // namespace float8::kernels
