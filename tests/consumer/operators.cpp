// Calls an operator of libfloat8.so through the dispatcher alone.
#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <cstdio>

int main() {
  const auto amax = c10::Dispatcher::singleton()
                        .findSchemaOrThrow("float8::amax", "")
                        .typed<at::Tensor(const at::Tensor&, at::IntArrayRef)>();
  const at::Tensor x = at::arange(0, -4, -1, at::kFloat).reshape({2, 2});
  const double result = amax.call(x, {0, 0}).item().toDouble();
  std::printf("amax %g\n", result);
  return result == 3.0 ? 0 : 1;
}
