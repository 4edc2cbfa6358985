#pragma once

#include <cstddef>

namespace float8::host_cuda {

/// A stack of its own, on which a function runs in turns with the one that resumes it.
class Fiber {
 public:
  /// `body` is called by the first resume() and must never return.
  Fiber(void (*body)(void*), void* argument);
  ~Fiber();  // what is on the stack is dropped, not unwound
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Runs the fiber until it calls suspend().
  void resume();
  /// Called on the fiber: goes back to the one that resumed it.
  void suspend();

  /// sanitizers.h's release(token), of what this suspended fiber has done.
  void release(void* token);

 private:
  static void enter(void* fiber);
  void announce_arrival();

  void (*body_)(void*);
  void* argument_;
  void* mapping_;
  void* stack_pointer_ = nullptr;          // the fiber's, while it is suspended
  void* resumer_stack_pointer_ = nullptr;  // the resumer's, while it runs
  void* sanitizer_fiber_ = nullptr;
  void* sanitizer_resumer_ = nullptr;
  void* fake_stack_ = nullptr;
  const void* resumer_bottom_ = nullptr;
  std::size_t resumer_size_ = 0;
};

}  // namespace float8::host_cuda
