#pragma once

#include <ATen/record_function.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace float8::testing {

/// Counts the calls of every operator, in all threads, while it lives: proof of what was computed.
class Calls {
 public:
  Calls() {
    const std::lock_guard<std::mutex> lock(mutex());
    counts().clear();
    handle_ = at::addGlobalCallback(
        at::RecordFunctionCallback(&record).scopes({at::RecordScope::FUNCTION}));
  }
  ~Calls() { at::removeCallback(handle_); }
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;

  /// How often an operator was called; the name is "float8::scaled_mm" or "aten::mm".
  int operator[](const std::string& name) const {
    const std::lock_guard<std::mutex> lock(mutex());
    const auto found = counts().find(name);
    return found == counts().end() ? 0 : found->second;
  }

 private:
  static std::unique_ptr<at::ObserverContext> record(const at::RecordFunction& function) {
    const std::lock_guard<std::mutex> lock(mutex());
    ++counts()[function.name()];
    return nullptr;
  }
  static std::mutex& mutex() {
    static std::mutex value;
    return value;
  }
  static std::map<std::string, int>& counts() {
    static std::map<std::string, int> value;
    return value;
  }
  at::CallbackHandle handle_;
};

}  // namespace float8::testing
