// What the suite covers on which backend, held to the truth: an operator that a backend is said to
// lack answers with an error that says so, also where there is no GPU.

#include <ATen/core/dispatch/Dispatcher.h>

#include "tests/cpp/ops/backend.h"

namespace float8::testing {
namespace {

// Arguments of the right types. A kernel for CUDA must refuse these tensors, which are on the CPU.
torch::jit::Stack arguments_of(const c10::FunctionSchema& schema) {
  torch::jit::Stack stack;
  for (const c10::Argument& argument : schema.arguments()) {
    switch (argument.type()->kind()) {
      case c10::TypeKind::TensorType:
        stack.emplace_back(at::zeros({16, 16}));
        break;
      case c10::TypeKind::ListType:
        stack.emplace_back(std::vector<std::int64_t>{0, 0});
        break;
      case c10::TypeKind::BoolType:
        stack.emplace_back(false);
        break;
      case c10::TypeKind::OptionalType:
        stack.emplace_back();
        break;
      default:
        stack.emplace_back(at::kFloat8_e4m3fn);
    }
  }
  return stack;
}

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
  expected.insert("linear");
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

TEST(Coverage, WhatCudaLacksSaysSo) {
  const Backend& cuda = backends().back();
  ASSERT_EQ(cuda.name, "Cuda");
  for (const std::string& name : leaf_operators()) {
    if (cuda.operators.count(name) > 0) {
      continue;
    }
    const c10::OperatorHandle op = find(name);
    torch::jit::Stack stack = arguments_of(op.schema());
    const std::string error =
        error_of([&] { op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CUDA), &stack); });
    EXPECT_NE(error.find(name + "] this "), std::string::npos) << error;
    EXPECT_TRUE(error.find("has no CUDA kernel for it") != std::string::npos ||
                error.find("was built without its CUDA backend") != std::string::npos)
        << error;
  }
}

}  // namespace
}  // namespace float8::testing
