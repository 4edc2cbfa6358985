#pragma once

namespace float8::host_cuda {

/// Saves the caller's registers on its stack, leaves its stack pointer in *from and goes on where
/// `to` was left.
extern "C" void float8_switch_stack(void** from, void* to);

/// A stack pointer from which float8_switch_stack calls entry(argument). `top` is 16-byte aligned.
void* prepare_stack(void* top, void (*entry)(void*), void* argument);

}  // namespace float8::host_cuda
