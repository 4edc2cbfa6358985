#pragma once

#include <cstddef>

// What fibers owe to a sanitizer. The functions are the sanitizer's own; they are null in a build
// without it.
extern "C" {
[[gnu::weak]] void* __tsan_get_current_fiber();                                      // NOLINT
[[gnu::weak]] void* __tsan_create_fiber(unsigned flags);                             // NOLINT
[[gnu::weak]] void __tsan_destroy_fiber(void* fiber);                                // NOLINT
[[gnu::weak]] void __tsan_switch_to_fiber(void* fiber, unsigned flags);              // NOLINT
[[gnu::weak]] void __tsan_acquire(void* token);                                      // NOLINT
[[gnu::weak]] void __tsan_release(void* token);                                      // NOLINT
[[gnu::weak]] void AnnotateIgnoreWritesBegin(const char* file, int line);            // NOLINT
[[gnu::weak]] void AnnotateIgnoreWritesEnd(const char* file, int line);              // NOLINT
[[gnu::weak]] void __sanitizer_start_switch_fiber(void** saved, const void* bottom,  // NOLINT
                                                  std::size_t size);
[[gnu::weak]] void __sanitizer_finish_switch_fiber(void* saved, const void** bottom,  // NOLINT
                                                   std::size_t* size);
[[gnu::weak]] void __asan_unpoison_memory_region(const volatile void* address,  // NOLINT
                                                 std::size_t size);
}

namespace float8::host_cuda {

inline bool thread_sanitizer() { return &__tsan_create_fiber != nullptr; }

/// To ThreadSanitizer each fiber is a thread, and only these two order one after another: what
/// happened before release(token) happened before what follows an acquire(token).
inline void release(void* token) {
  if (thread_sanitizer()) {
    __tsan_release(token);
  }
}
inline void acquire(void* token) {
  if (thread_sanitizer()) {
    __tsan_acquire(token);
  }
}

}  // namespace float8::host_cuda
