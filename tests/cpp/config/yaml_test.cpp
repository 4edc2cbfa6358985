#include "float8/yaml.h"

#include <gtest/gtest.h>

#include "config_error.h"

namespace float8 {
namespace {

using testing::config_error;
using testing::has;

constexpr const char* kFile = R"(compile:
  enabled: true
  mode: max-autotune
fp8:
  enabled: true
  recipe_name: tensorwise
  enable_fsdp_fp8_all_gather: true
  precompute_float8_dynamic_scale_for_fsdp: true
  filter_fqns: [lm_head, "layers.0.*"]
other:
  anything: goes
)";

Config read(const std::string& text, const Overrides& overrides = {}) {
  return read_config(parse_document(text, "a.yaml", overrides));
}

std::string read_error(const std::string& text, const Overrides& overrides = {}) {
  return config_error([&] { read(text, overrides); });
}

TEST(ReadConfig, ReadsBothSections) {
  const Config config = read(kFile);
  EXPECT_TRUE(config.compile.enabled);
  EXPECT_EQ(config.compile.mode, "max-autotune");
  EXPECT_EQ(config.compile.backend, std::nullopt);
  EXPECT_TRUE(config.fp8.enabled);
  EXPECT_EQ(config.fp8.recipe_name, "tensorwise");
  EXPECT_TRUE(config.fp8.enable_fsdp_float8_all_gather);
  EXPECT_TRUE(config.fp8.precompute_float8_dynamic_scale_for_fsdp);
  EXPECT_EQ(config.fp8.filter_fqns, std::vector<std::string>({"lm_head", "layers.0.*"}));
}

TEST(ReadConfig, MissingSectionsHaveDefaults) {
  EXPECT_EQ(read("other: 1"), Config{});
  EXPECT_EQ(read("fp8: {}"), Config{});
}

TEST(ReadConfig, WrongTypesSayWhatWasExpectedAndFound) {
  EXPECT_EQ(read_error("fp8:\n  enabled: 1"),
            "[config] a.yaml:2: fp8.enabled: expected true or false, found the integer 1");
  EXPECT_TRUE(has(read_error("fp8:\n  enabled: on"), "write true"));
  EXPECT_TRUE(has(read_error("fp8: [a]"), "a.yaml:1: fp8: expected a map of keys, found a list"));
  EXPECT_TRUE(has(read_error("fp8: {filter_fqns: lm_head}"), "write [\"lm_head\"]"));
  EXPECT_TRUE(has(read_error("fp8: {filter_fqns: [a, '']}"), "fp8.filter_fqns.1"));
}

TEST(ReadConfig, UnknownKeysNameTheNearestOne) {
  EXPECT_TRUE(has(read_error("fp8:\n  recipe_nmae: x"), "did you mean `recipe_name`?"));
  EXPECT_TRUE(has(read_error("compile:\n  full_graph: x"), "did you mean `fullgraph`?"));
  EXPECT_TRUE(has(read_error("fp8: {zzz: 1}"), "valid: enabled, recipe_name, enable_fsdp_float8"));
  EXPECT_TRUE(has(read_error("comple: {}"), "did you mean `compile`?"));
  EXPECT_TRUE(has(read_error("fp8.enabled: true"), "a.yaml:1: fp8.enabled"));
  EXPECT_NO_THROW(read("fp16: {}\ncompute: {}\ndp: 1"));
}

TEST(ReadConfig, BothSpellingsMustAgree) {
  const std::string both =
      "fp8: {enable_fsdp_fp8_all_gather: true, enable_fsdp_float8_all_gather: ";
  EXPECT_NO_THROW(read(both + "true}"));
  EXPECT_TRUE(has(read_error(both + "false}"), "its other spelling"));
}

TEST(ReadConfig, RecipeAndAllGatherErrorIsTheWholeOverride) {
  const std::string error = read_error(kFile, {{"fp8.recipe_name", "rowwise"}});
  EXPECT_TRUE(has(error, "command line: fp8.recipe_name: expected tensorwise"));
  EXPECT_TRUE(
      error.ends_with("--fp8.recipe_name rowwise"
                      " --fp8.enable_fsdp_float8_all_gather false"
                      " --fp8.precompute_float8_dynamic_scale_for_fsdp false"));
  const Config config = read(kFile, {{"fp8.recipe_name", "rowwise"},
                                     {"fp8.enable_fsdp_float8_all_gather", "false"},
                                     {"fp8.precompute_float8_dynamic_scale_for_fsdp", "false"}});
  EXPECT_EQ(config.fp8.recipe_name, "rowwise");
  EXPECT_FALSE(config.fp8.enable_fsdp_float8_all_gather);
}

TEST(ReadConfig, PrecomputedScalesNeedTheAllGather) {
  EXPECT_TRUE(has(read_error(kFile, {{"fp8.enable_fsdp_float8_all_gather", "false"}}),
                  "a.yaml:8: fp8.precompute_float8_dynamic_scale_for_fsdp: expected false"));
}

TEST(Dump, IsReadAsAnEqualValue) {
  Config config = read(kFile);
  config.fp8.filter_fqns = {"1", "a: b", "\"'\\", "*", "\n\t", "\xC3\xA9", "null"};
  config.compile.backend = "true";
  EXPECT_EQ(read(dump(config)), config);
  EXPECT_EQ(read(dump(Config{})), Config{});
  EXPECT_EQ(read_config(to_document(config)), config);
}

TEST(Fp8Config, LinearConfigHasEverySetting) {
  Fp8Config fp8;
  EXPECT_EQ(fp8.linear_config(), Float8LinearConfig{}.resolved());
  fp8.recipe_name = "rowwise";
  fp8.emulate = true;
  fp8.force_recompute_fp8_weight_in_bwd = true;
  const Float8LinearConfig linear = fp8.linear_config();
  EXPECT_TRUE(linear.emulate && linear.force_recompute_fp8_weight_in_bwd);
  EXPECT_TRUE(linear.round_scales_to_power_of_2);
  fp8.enable_fsdp_float8_all_gather = true;
  EXPECT_THROW(static_cast<void>(fp8.linear_config()), ConfigError);
}

TEST(ConfigErrorMessage, NamesThePlaceAndTheNearestCandidate) {
  EXPECT_EQ(config_error_message({"a.yaml", 3, "a.b", "text", "null", {}, "write it"}),
            "[config] a.yaml:3: a.b: expected text, found null; write it");
  EXPECT_EQ(config_error_message({"a.yaml", kNoLine, "", "x", "the string `stepz`", {"steps"}}),
            "[config] a.yaml: expected x, found the string `stepz`; did you mean `steps`?");
  EXPECT_EQ(config_error_message({"a.yaml", kCommandLine, "k", "x", "`y`", {"one", "two"}}),
            "[config] command line: k: expected x, found `y`; valid: one, two");
}

}  // namespace
}  // namespace float8
