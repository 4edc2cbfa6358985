#include <cstdint>

#include "stack_switch.h"

// The registers that a function must preserve. (ucontext.h would do the same with two system calls
// for each switch.) The control words of the floating-point units stay as they are.
asm(R"(
.text
.globl float8_switch_stack
.type float8_switch_stack, @function
float8_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size float8_switch_stack, .-float8_switch_stack

.type float8_enter_stack, @function
float8_enter_stack:
  movq %rbx, %rdi
  call *%rbp
  ud2
.size float8_enter_stack, .-float8_enter_stack
.globl float8_enter_stack
)");

extern "C" void float8_enter_stack();

namespace float8::host_cuda {

void* prepare_stack(void* bottom, std::size_t size, void (*entry)(void*), void* argument) {
  auto* slot = static_cast<std::uintptr_t*>(bottom) + size / sizeof(std::uintptr_t);
  *--slot = 0;  // ends a debugger's walk
  *--slot = 0;  // keeps the stack aligned at the call
  *--slot = reinterpret_cast<std::uintptr_t>(&float8_enter_stack);
  *--slot = reinterpret_cast<std::uintptr_t>(entry);     // rbp
  *--slot = reinterpret_cast<std::uintptr_t>(argument);  // rbx
  for (int i = 0; i < 4; ++i) {                          // r12 to r15
    *--slot = 0;
  }
  return slot;
}

}  // namespace float8::host_cuda
