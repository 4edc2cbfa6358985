#include <gtest/gtest.h>

#include <string>

#include "float8/plan.h"

namespace float8 {
namespace {

TEST(FqnMatches, WithoutWildcardsAnyPartOfTheName) {
  EXPECT_TRUE(fqn_matches("lm_head", "model.lm_head"));
  EXPECT_TRUE(fqn_matches("layers.1", "layers.10.mlp"));
  EXPECT_FALSE(fqn_matches("lm_head", "model.head"));
  EXPECT_FALSE(fqn_matches("LM_HEAD", "lm_head"));
}

TEST(FqnMatches, WithWildcardsTheWholeName) {
  EXPECT_TRUE(fqn_matches("layers.1.*", "layers.1.mlp.up_proj"));
  EXPECT_FALSE(fqn_matches("layers.1.*", "layers.10.mlp.up_proj"));
  EXPECT_FALSE(fqn_matches("layers.1.*", "model.layers.1.mlp"));
  EXPECT_TRUE(fqn_matches("*.layers.1.*", "model.layers.1.mlp"));
  EXPECT_TRUE(fqn_matches("*", ""));
  EXPECT_TRUE(fqn_matches("**", "abc"));
  EXPECT_TRUE(fqn_matches("a*b*c", "a.b.b.c"));
  EXPECT_FALSE(fqn_matches("a*b*c", "a.b.b.c.d"));
  EXPECT_TRUE(fqn_matches("layers.?", "layers.1"));
  EXPECT_FALSE(fqn_matches("layers.?", "layers.10"));
  EXPECT_FALSE(fqn_matches("?", ""));
}

TEST(FqnMatches, ClassesOfCharacters) {
  EXPECT_TRUE(fqn_matches("layers.[0-3].*", "layers.2.mlp"));
  EXPECT_FALSE(fqn_matches("layers.[0-3].*", "layers.4.mlp"));
  EXPECT_TRUE(fqn_matches("[qkv]_proj", "k_proj"));
  EXPECT_FALSE(fqn_matches("[!qkv]_proj", "k_proj"));
  EXPECT_TRUE(fqn_matches("[!qkv]_proj", "o_proj"));
  EXPECT_TRUE(fqn_matches("[]]", "]"));
  EXPECT_FALSE(fqn_matches("[!]]", "]"));
  EXPECT_TRUE(fqn_matches("[a-]", "-"));
  EXPECT_TRUE(fqn_matches("*[", "a["));
  EXPECT_FALSE(fqn_matches("[ab", "a"));
  EXPECT_TRUE(fqn_matches("[!", "[!"));
}

TEST(FqnMatches, ManyStarsDoNotMultiplyTheTime) {
  std::string pattern;
  for (int i = 0; i < 500; ++i) {
    pattern += "*a";
  }
  EXPECT_FALSE(fqn_matches(pattern + "b", std::string(5000, 'a')));
}

}  // namespace
}  // namespace float8
