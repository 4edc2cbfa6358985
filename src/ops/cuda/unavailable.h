#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <string>

namespace float8::cuda {

/// An operator's name as errors print it: "quantize" of "float8::quantize".
inline std::string name_of(const c10::OperatorHandle& op) {
  const std::string& name = op.schema().name();
  return name.substr(name.rfind(':') + 1);
}

}  // namespace float8::cuda
