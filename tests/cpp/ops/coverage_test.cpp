// Every operator is in the suite and has a kernel for every key.

#include <ATen/core/dispatch/Dispatcher.h>

#include "tests/cpp/ops/backend.h"

namespace float8::testing {
namespace {

c10::OperatorHandle find(const std::string& name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(("float8::" + name).c_str(), "");
}

TEST(Coverage, EveryOperatorIsInTheSuite) {
  std::set<std::string> registered;
  for (const c10::OperatorName& name : c10::Dispatcher::singleton().getAllOpNames()) {
    if (name.getNamespace() == "float8") {
      registered.insert(name.name.substr(8));
    }
  }
  std::set<std::string> expected = leaf_operators();
  expected.insert(
      {"linear", "cast_health", "cache_weights", "release_weights", "invalidate_cached_weights"});
  EXPECT_EQ(registered, expected);
}

TEST(Coverage, EveryLeafHasAKernelForEveryKey) {
  for (const std::string& name : leaf_operators()) {
    for (const auto key : {c10::DispatchKey::CPU, c10::DispatchKey::CUDA, c10::DispatchKey::Meta}) {
      EXPECT_TRUE(find(name).hasKernelForDispatchKey(key)) << name << " " << key;
    }
    EXPECT_TRUE(find(name).hasComputedKernelForDispatchKey(c10::DispatchKey::AutogradCPU)) << name;
  }
}

// The tracers' entry, for what decomposes there and for nothing else.
TEST(Coverage, WhatATracerDecomposes) {
  for (const std::string& name : leaf_operators()) {
    EXPECT_EQ(find(name).hasKernelForDispatchKey(c10::DispatchKey::Functionalize),
              name == "quantize" || name == "quantize_pair")
        << name;
  }
}

}  // namespace
}  // namespace float8::testing
