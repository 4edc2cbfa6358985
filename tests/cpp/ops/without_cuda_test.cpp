// A library that was built without CUDA says so, also where there is no GPU. Part of such builds
// only.

#include <ATen/core/dispatch/Dispatcher.h>

#include "tests/cpp/ops/backend.h"

namespace float8::testing {
namespace {

// Arguments of the right types. No kernel sees them.
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

TEST(WithoutCuda, EveryOperatorSaysSo) {
  for (const std::string& name : leaf_operators()) {
    const c10::OperatorHandle op = find(name);
    torch::jit::Stack stack = arguments_of(op.schema());
    const std::string error =
        error_of([&] { op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CUDA), &stack); });
    EXPECT_EQ(error.find("[" + name + "] this libfloat8 was built without its CUDA backend"), 0)
        << error;
  }
}
}  // namespace
}  // namespace float8::testing
