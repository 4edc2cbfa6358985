#include "float8/yaml.h"

#include <algorithm>
#include <utility>

#include "src/config/section.h"
#include "src/config/setting.h"
#include "src/config/words.h"

namespace float8 {
namespace {

constexpr std::string_view kDefaultRecipe = "tensorwise";

/// Reads one section of a document by the table of its keys.
template <class Section>
class SectionReader {
 public:
  SectionReader(const Document& document, std::string_view section)
      : document_(document), section_(section) {
    const Map& sections = std::get<Map>(document.root.value);
    const auto found = std::ranges::find(sections, section, &Entry::key);
    entry_ = found == sections.end() ? nullptr : &*found;
  }

  [[nodiscard]] Section read() const {
    Section values;
    if (entry_ == nullptr) {
      return values;
    }
    const auto* entries = std::get_if<Map>(&entry_->value.value);
    if (entries == nullptr) {
      Setting{document_.source, section_, entry_->line, entry_->value, {}}.fail("a map of keys");
    }
    for (const Entry& entry : *entries) {
      read_entry(*entries, entry, values);
    }
    return values;
  }

  /// The error about the value of a key that is in the document.
  [[noreturn]] void fail(std::string_view name, const std::string& expected,
                         const std::string& advice) const {
    const Entry& entry = *find(std::get<Map>(entry_->value.value), key_named(name));
    setting(entry, {}).fail(expected, advice);
  }

 private:
  using SectionKey = Key<Section>;

  static bool is_named(const SectionKey& key, std::string_view name) {
    return name == key.name || (name == key.other_spelling && !name.empty());
  }

  static const SectionKey& key_named(std::string_view name) {
    return *std::ranges::find(keys_of<Section>(), name, &SectionKey::name);
  }

  /// The first entry that spells the key in either way.
  static auto find(const Map& entries, const SectionKey& key) {
    return std::ranges::find_if(entries,
                                [&](const Entry& entry) { return is_named(key, entry.key); });
  }

  [[nodiscard]] Setting setting(const Entry& entry, const std::vector<std::string>& choices) const {
    return {document_.source, section_ + "." + entry.key, entry.line, entry.value, choices};
  }

  void read_entry(const Map& entries, const Entry& entry, Section& values) const {
    const auto key = std::ranges::find_if(
        keys_of<Section>(), [&](const SectionKey& known) { return is_named(known, entry.key); });
    if (key == keys_of<Section>().end()) {
      fail_unknown(entry);
    }
    const Section before = values;
    const Setting source = setting(entry, key->choices);
    std::visit([&](auto member) { read_setting(source, values.*member); }, key->member);
    const Entry& first = *find(entries, *key);
    if (first.key != entry.key &&
        std::visit([&](auto member) { return values.*member != before.*member; }, key->member)) {
      source.fail("the value of " + first.key + ", its other spelling",
                  "remove one of the two keys");
    }
  }

  [[noreturn]] void fail_unknown(const Entry& entry) const {
    std::vector<std::string> names;
    for (const SectionKey& key : keys_of<Section>()) {
      names.emplace_back(key.name);
    }
    throw ConfigError(config_error_message({.source = document_.source,
                                            .line = entry.line,
                                            .key = section_ + "." + entry.key,
                                            .expected = "a key of the section " + section_,
                                            .found = "`" + shortened(entry.key) + "`",
                                            .candidates = std::move(names)}));
  }

  const Document& document_;
  std::string section_;
  const Entry* entry_;
};

Fp8Config read_fp8(const Document& document) {
  const SectionReader<Fp8Config> reader(document, kFp8Section);
  Fp8Config fp8 = reader.read();
  const std::string recipe = fp8.recipe_name.value_or(std::string(kDefaultRecipe));
  if (fp8.enable_fsdp_float8_all_gather && recipe != kDefaultRecipe) {
    reader.fail("recipe_name", "tensorwise, as enable_fsdp_float8_all_gather is true",
                "the all-gather in FP8 sends one scale for each weight; for this recipe say"
                " --fp8.recipe_name " +
                    recipe +
                    " --fp8.enable_fsdp_float8_all_gather false"
                    " --fp8.precompute_float8_dynamic_scale_for_fsdp false");
  }
  if (fp8.precompute_float8_dynamic_scale_for_fsdp && !fp8.enable_fsdp_float8_all_gather) {
    reader.fail("precompute_float8_dynamic_scale_for_fsdp",
                "false, as enable_fsdp_float8_all_gather is false",
                "the scales are those of the all-gather in FP8: enable it too, or say"
                " --fp8.precompute_float8_dynamic_scale_for_fsdp false");
  }
  return fp8;
}

/// A misspelt section would be ignored, and with it all of its settings.
void check_section_names(const Document& document) {
  const std::vector<std::string> sections = {std::string(kFp8Section),
                                             std::string(kCompileSection)};
  for (const Entry& entry : std::get<Map>(document.root.value)) {
    const std::string name = entry.key.substr(0, entry.key.find('.'));
    const bool known = std::ranges::find(sections, entry.key) != sections.end();
    if (!known && nearest(name, sections, 1)) {
      throw ConfigError(config_error_message({.source = document.source,
                                              .line = entry.line,
                                              .key = entry.key,
                                              .expected = "a section name",
                                              .found = "`" + shortened(name) + "`",
                                              .candidates = sections,
                                              .advice = "sections hold their keys in a map"}));
    }
  }
}

}  // namespace

Float8LinearConfig Fp8Config::linear_config() const {
  auto config =
      Float8LinearConfig::from_recipe_name(recipe_name.value_or(std::string(kDefaultRecipe)));
  config.enable_fsdp_float8_all_gather = enable_fsdp_float8_all_gather;
  config.force_recompute_fp8_weight_in_bwd = force_recompute_fp8_weight_in_bwd;
  config.emulate = emulate;
  return config.resolved();
}

Config read_config(const Document& document) {
  check_section_names(document);
  return {read_fp8(document), SectionReader<CompileConfig>(document, kCompileSection).read()};
}

Config load_config(const std::filesystem::path& path, const Overrides& overrides) {
  return read_config(load_document(path, overrides));
}

}  // namespace float8
