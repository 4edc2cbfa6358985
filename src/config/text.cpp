#include "src/config/text.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

#include "float8/document.h"

namespace float8 {
namespace {

[[noreturn]] void fail_system(const std::filesystem::path& path) {
  throw std::system_error(errno, std::generic_category(), path.string());
}

std::string hex(unsigned char byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return {'0', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
}

/// The number of bytes of the UTF-8 character that starts at text[at]; 0 where none does.
std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) {
    return 1;
  }
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  unsigned code = lead & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) {
      return 0;
    }
    code = code << 6 | (byte(i) & 0x3FU);
  }
  constexpr std::array<unsigned, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};  // by length
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  const bool valid = lead >= 0xC2 && code >= kSmallest.at(length) && code <= 0x10FFFF;
  return valid && !surrogate ? length : 0;
}

void check_encoding(std::string_view text, const Origin& origin) {
  const std::string utf8 = "UTF-8 text";
  const std::string save = "save the file as UTF-8";
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF") ||
      text.starts_with(std::string_view("\0\0\xFE\xFF", 4))) {
    origin.fail(1, "", utf8, "the byte order mark of UTF-16 or UTF-32", save);
  }
  int line = 1;
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const std::size_t length = utf8_length(text, at);
    if (length == 0) {
      origin.fail(line, "", utf8, "the byte " + hex(byte), save);
    }
    if ((byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7F) {
      origin.fail(line, "", utf8, "the control character " + hex(byte), "remove it");
    }
    line += byte == '\n' ? 1 : 0;
    at += length;
  }
}

/// YAML forbids tabs as indentation. Continuation lines of strings may start with one; here they
/// may not either, since what a stray tab does to a block is worse.
void check_tabs(std::string_view text, const Origin& origin) {
  int line = 1;
  for (std::size_t start = 0; start < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view content = text.substr(start, end - start);
    const std::size_t first = content.find_first_not_of(" \t\r");
    const bool blank = first == std::string_view::npos || content[first] == '#';
    if (!blank && content.substr(0, first).find('\t') != std::string_view::npos) {
      origin.fail(line, "", "spaces as indentation", "a tab", "replace it with spaces");
    }
    start = end + 1;
  }
}

}  // namespace

std::string read_file(const std::filesystem::path& path) {
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, Closer> file(std::fopen(path.c_str(), "rb"));
  if (!file) {
    fail_system(path);
  }
  std::string bytes(kMaxBytes + 1, '\0');
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file.get()));
  if (std::ferror(file.get()) != 0) {
    if (errno == EISDIR) {
      Origin{path.string()}.fail(kNoLine, "", "a YAML file", "a directory", "name a file in it");
    }
    fail_system(path);
  }
  return bytes;
}

std::string_view checked_text(std::string_view bytes, const Origin& origin) {
  if (bytes.size() > kMaxBytes) {
    origin.fail(kNoLine, "", "a configuration of at most 1 MiB", "a larger file",
                "check that this is the right file");
  }
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (bytes.starts_with(kByteOrderMark)) {
    bytes.remove_prefix(kByteOrderMark.size());
  }
  check_encoding(bytes, origin);
  check_tabs(bytes, origin);
  return bytes;
}

}  // namespace float8
