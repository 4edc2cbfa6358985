#include <ucontext.h>

#include <cstdint>
#include <new>

#include "stack_switch.h"

// For processors that have no assembly of their own here. Each switch makes two system calls.
namespace float8::host_cuda {
namespace {

// makecontext passes integers only.
void call(unsigned entry_high, unsigned entry_low, unsigned argument_high, unsigned argument_low) {
  const auto pointer = [](unsigned high, unsigned low) {
    return (static_cast<std::uintptr_t>(high) << 32) | low;
  };
  reinterpret_cast<void (*)(void*)>(pointer(entry_high, entry_low))(
      reinterpret_cast<void*>(pointer(argument_high, argument_low)));
}

}  // namespace

extern "C" void float8_switch_stack(void** from, void* to) {
  ucontext_t self;
  *from = &self;
  swapcontext(&self, static_cast<ucontext_t*>(to));
}

void* prepare_stack(void* bottom, std::size_t size, void (*entry)(void*), void* argument) {
  auto* const context = ::new (bottom) ucontext_t;
  constexpr std::size_t kContextBytes = (sizeof(ucontext_t) + 63) / 64 * 64;
  getcontext(context);
  context->uc_stack.ss_sp = static_cast<char*>(bottom) + kContextBytes;
  context->uc_stack.ss_size = size - kContextBytes;
  context->uc_link = nullptr;
  const auto e = reinterpret_cast<std::uintptr_t>(entry);
  const auto a = reinterpret_cast<std::uintptr_t>(argument);
  makecontext(context, reinterpret_cast<void (*)()>(&call), 4, static_cast<unsigned>(e >> 32),
              static_cast<unsigned>(e), static_cast<unsigned>(a >> 32), static_cast<unsigned>(a));
  return context;
}

}  // namespace float8::host_cuda
