// Any bytes as a configuration file: a ConfigError or a configuration, nothing else. What is read
// survives being written and read again.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "float8/yaml.h"

namespace {

// The text ends at the first NUL; each line behind it is an override, "key value".
float8::Overrides overrides_of(std::string_view lines) {
  float8::Overrides overrides;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(line.size() == lines.size() ? line.size() : line.size() + 1);
    const std::size_t space = line.find(' ');
    if (space != std::string_view::npos) {
      overrides.emplace_back(line.substr(0, space), line.substr(space + 1));
    }
  }
  return overrides;
}

void require(bool condition, const char* what) {
  if (!condition) {
    std::fprintf(stderr, "broken: %s\n", what);
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\0');
  const std::string_view text = input.substr(0, end);
  const std::string_view lines =
      end == std::string_view::npos ? std::string_view() : input.substr(end + 1);
  float8::Config config;
  try {
    config = float8::read_config(float8::parse_document(text, "fuzz.yaml", overrides_of(lines)));
    static_cast<void>(config.fp8.linear_config());
  } catch (const float8::ConfigError& error) {
    require(std::string_view(error.what()).starts_with("["), "an error names its origin");
    return 0;
  }
  const std::string written = float8::dump(config);
  const auto again = float8::read_config(float8::parse_document(written, "dump.yaml"));
  require(again == config, "dump and read give the same configuration");
  require(float8::dump(again) == written, "dump is a function of the configuration");
  return 0;
}
