#pragma once

#include <gtest/gtest.h>

#include <string>

#include "float8/config.h"

namespace float8::testing {

/// The message of the ConfigError that `call` throws; a failed test where it throws none.
template <class Call>
std::string config_error(const Call& call) {
  try {
    call();
  } catch (const ConfigError& error) {
    return error.what();
  }
  ADD_FAILURE() << "no ConfigError";
  return "";
}

/// Whether `text` holds `part`, with both in the failure's message.
inline ::testing::AssertionResult has(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << "`" << part << "` is not in: " << text;
}

}  // namespace float8::testing
