#pragma once

#include <cstddef>

namespace float8::host_cuda {

/// Saves the caller's registers on its stack, leaves in *from what leads back to it, and goes on
/// where `to` was left.
extern "C" void float8_switch_stack(void** from, void* to);

/// What to give float8_switch_stack as `to`, once, for it to call entry(argument) on a new stack.
/// `bottom` and `size` are multiples of 64; entry must not return.
void* prepare_stack(void* bottom, std::size_t size, void (*entry)(void*), void* argument);

}  // namespace float8::host_cuda
