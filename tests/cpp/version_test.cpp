#include "float8/version.h"

#include <gtest/gtest.h>

#include <regex>

namespace {

TEST(Version, IsThreeNumbers) {
  EXPECT_TRUE(std::regex_match(float8::version(), std::regex(R"(\d+\.\d+\.\d+)")))
      << float8::version();
}

}  // namespace
