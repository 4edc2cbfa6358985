#pragma once

#include <atomic>

namespace float8::host_cuda {

/// A number that many threads change. It orders nothing else, so that ThreadSanitizer still sees
/// the races of those who count.
template <class Value>
class Relaxed {
 public:
  Relaxed(Value value = {}) : value_(value) {}  // NOLINT: it stands for a value
  operator Value() const { return value_.load(std::memory_order_relaxed); }  // NOLINT
  Relaxed& operator=(Value value) {
    value_.store(value, std::memory_order_relaxed);
    return *this;
  }
  Value add(Value value) { return value_.fetch_add(value, std::memory_order_relaxed); }

 private:
  std::atomic<Value> value_;
};

}  // namespace float8::host_cuda
