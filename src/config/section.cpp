#include "src/config/section.h"

namespace float8 {

template <>
const std::vector<Key<Fp8Config>>& keys_of<Fp8Config>() {
  static const std::vector<Key<Fp8Config>> kKeys = {
      {"enabled", &Fp8Config::enabled},
      {.name = "recipe_name", .member = &Fp8Config::recipe_name, .choices = recipe_names()},
      {"enable_fsdp_float8_all_gather", &Fp8Config::enable_fsdp_float8_all_gather,
       "enable_fsdp_fp8_all_gather"},
      {"precompute_float8_dynamic_scale_for_fsdp",
       &Fp8Config::precompute_float8_dynamic_scale_for_fsdp,
       "precompute_fp8_dynamic_scale_for_fsdp"},
      {"force_recompute_fp8_weight_in_bwd", &Fp8Config::force_recompute_fp8_weight_in_bwd},
      {"filter_fqns", &Fp8Config::filter_fqns},
      {"emulate", &Fp8Config::emulate},
  };
  return kKeys;
}

template <>
const std::vector<Key<CompileConfig>>& keys_of<CompileConfig>() {
  static const std::vector<Key<CompileConfig>> kKeys = {
      {"enabled", &CompileConfig::enabled},
      {.name = "mode",
       .member = &CompileConfig::mode,
       .choices = {"default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"}},
      {"fullgraph", &CompileConfig::fullgraph},
      {"dynamic", &CompileConfig::dynamic},
      {"backend", &CompileConfig::backend},
  };
  return kKeys;
}

std::string canonical_spelling(const std::string& key) {
  const std::string section = std::string(kFp8Section) + ".";
  for (const Key<Fp8Config>& known : keys_of<Fp8Config>()) {
    if (!known.other_spelling.empty() && key == section + std::string(known.other_spelling)) {
      return section + std::string(known.name);
    }
  }
  return key;
}

}  // namespace float8
