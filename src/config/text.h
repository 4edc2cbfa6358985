#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "src/config/origin.h"

namespace float8 {

/// The most bytes that a configuration may have.
inline constexpr std::size_t kMaxBytes = std::size_t{1} << 20;

/// The bytes of a file. Reads no more than kMaxBytes + 1 of them, whatever the file is. Throws
/// std::system_error where it cannot be opened or read, ConfigError for a directory.
std::string read_file(const std::filesystem::path& path);

/// Checks what a YAML parser would misread or take long over, and returns the text without its
/// byte order mark. Throws ConfigError, with the line, for more than kMaxBytes, other encodings
/// than UTF-8, control characters, and tabs as indentation.
std::string_view checked_text(std::string_view bytes, const Origin& origin);

}  // namespace float8
