#include "fiber.h"

#include <sys/mman.h>

#include <new>

#include "sanitizers.h"
#include "stack_switch.h"

namespace float8::host_cuda {
namespace {

constexpr std::size_t kGuardBytes = 4096;
constexpr std::size_t kStackBytes = std::size_t{128} << 10;
constexpr unsigned kNoSync = 1;  // switching orders nothing

char* stack_bottom(void* mapping) { return static_cast<char*>(mapping) + kGuardBytes; }

}  // namespace

Fiber::Fiber(void (*body)(void*), void* argument)
    : body_(body),
      argument_(argument),
      mapping_(mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
  if (mapping_ == MAP_FAILED) {
    throw std::bad_alloc();
  }
  mprotect(mapping_, kGuardBytes, PROT_NONE);
  stack_pointer_ = prepare_stack(stack_bottom(mapping_), kStackBytes, &Fiber::enter, this);
  if (thread_sanitizer()) {
    sanitizer_fiber_ = __tsan_create_fiber(0);
  }
}

Fiber::~Fiber() {
  if (thread_sanitizer()) {
    __tsan_destroy_fiber(sanitizer_fiber_);
  }
  if (&__asan_unpoison_memory_region != nullptr) {
    __asan_unpoison_memory_region(stack_bottom(mapping_), kStackBytes);
  }
  munmap(mapping_, kGuardBytes + kStackBytes);
}

void Fiber::resume() {
  void* fake_stack = nullptr;
  if (&__sanitizer_start_switch_fiber != nullptr) {
    __sanitizer_start_switch_fiber(&fake_stack, stack_bottom(mapping_), kStackBytes);
  }
  if (thread_sanitizer()) {
    sanitizer_resumer_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(sanitizer_fiber_, kNoSync);
  }
  float8_switch_stack(&resumer_stack_pointer_, stack_pointer_);
  if (&__sanitizer_finish_switch_fiber != nullptr) {
    __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
  }
}

void Fiber::suspend() {
  if (&__sanitizer_start_switch_fiber != nullptr) {
    __sanitizer_start_switch_fiber(&fake_stack_, resumer_bottom_, resumer_size_);
  }
  if (thread_sanitizer()) {
    __tsan_switch_to_fiber(sanitizer_resumer_, kNoSync);
  }
  float8_switch_stack(&stack_pointer_, resumer_stack_pointer_);
  announce_arrival();
}

void Fiber::release(void* token) {
  if (thread_sanitizer()) {
    void* const self = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(sanitizer_fiber_, kNoSync);
    host_cuda::release(token);
    __tsan_switch_to_fiber(self, kNoSync);
  }
}

void Fiber::announce_arrival() {
  if (&__sanitizer_finish_switch_fiber != nullptr) {
    __sanitizer_finish_switch_fiber(fake_stack_, &resumer_bottom_, &resumer_size_);
  }
}

void Fiber::enter(void* fiber) {
  auto* self = static_cast<Fiber*>(fiber);
  self->announce_arrival();
  self->body_(self->argument_);
}

}  // namespace float8::host_cuda
