#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "float8/config.h"
#include "float8/document.h"
#include "float8/export.h"

namespace float8 {

/// The section `fp8:` of a configuration file; the defaults are those of the missing keys.
struct FLOAT8_API Fp8Config {
  bool enabled = false;  ///< false: the model is left alone
  /// One of recipe_names(); empty: "tensorwise".
  std::optional<std::string> recipe_name = std::nullopt;
  /// FSDP2 gathers the weights as FP8. Also spelt enable_fsdp_fp8_all_gather.
  bool enable_fsdp_float8_all_gather = false;
  /// After each optimizer step, the scales of all sharded weights from one all-reduce. Needs the
  /// all-gather. Also spelt precompute_fp8_dynamic_scale_for_fsdp.
  bool precompute_float8_dynamic_scale_for_fsdp = false;
  bool force_recompute_fp8_weight_in_bwd = false;  ///< quantize the weight again in backward
  std::vector<std::string> filter_fqns = {};       ///< layers to leave alone, see plan.h
  bool emulate = false;                            ///< the same casts without FP8 hardware

  bool operator==(const Fp8Config&) const = default;

  /// The layers' configuration; throws ConfigError where resolved() does.
  [[nodiscard]] Float8LinearConfig linear_config() const;
};

/// The section `compile:`, the arguments of torch.compile.
struct CompileConfig {
  bool enabled = false;
  /// default, reduce-overhead, max-autotune or max-autotune-no-cudagraphs
  std::string mode = "default";
  bool fullgraph = false;
  bool dynamic = false;
  std::optional<std::string> backend = std::nullopt;  ///< empty: inductor

  bool operator==(const CompileConfig&) const = default;
};

/// The sections that this library reads. Other sections belong to others.
struct Config {
  Fp8Config fp8;
  CompileConfig compile;

  bool operator==(const Config&) const = default;
};

/// The sections `fp8` and `compile` of a document; missing keys have their defaults.
///
/// Throws ConfigError (see config_error_message) for an unknown key in them, a wrong type or
/// value, both spellings of a key with different values, a recipe that cannot have the FP8
/// all-gather together with it, precomputed scales without the all-gather, an empty entry of
/// filter_fqns, and a section whose name is nearly `fp8` or `compile`.
FLOAT8_API Config read_config(const Document& document);

/// read_config(load_document(path, overrides)), with the errors of both.
FLOAT8_API Config load_config(const std::filesystem::path& path, const Overrides& overrides = {});

/// The configuration as a document, every key written out.
FLOAT8_API Document to_document(const Config& config);

/// YAML text of both sections, every key written out, that load_config reads as an equal value.
FLOAT8_API std::string dump(const Config& config);

}  // namespace float8
