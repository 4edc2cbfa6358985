#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "float8/yaml.h"

namespace float8 {

/// One key of a section: its name, where its value goes, and what is valid.
template <class Section>
struct Key {
  using Member =
      std::variant<bool Section::*, std::string Section::*, std::optional<std::string> Section::*,
                   std::vector<std::string> Section::*>;

  std::string_view name;
  Member member;
  std::string_view other_spelling = {};
  std::vector<std::string> choices = {};  ///< empty: any text
};

inline constexpr std::string_view kFp8Section = "fp8";
inline constexpr std::string_view kCompileSection = "compile";

/// The keys of a section, in the order in which they are written.
template <class Section>
const std::vector<Key<Section>>& keys_of();
template <>
const std::vector<Key<Fp8Config>>& keys_of<Fp8Config>();
template <>
const std::vector<Key<CompileConfig>>& keys_of<CompileConfig>();

/// The main spelling of a dotted key that may have two ("fp8.enable_fsdp_fp8_all_gather"); any
/// other key comes back as it is.
std::string canonical_spelling(const std::string& key);

}  // namespace float8
