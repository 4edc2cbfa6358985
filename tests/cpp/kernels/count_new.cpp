#include "count_new.h"

#include <cstdlib>
#include <new>

namespace float8::testing {
namespace {

thread_local std::int64_t count = 0;

}  // namespace

std::int64_t allocations() { return count; }

}  // namespace float8::testing

// The other forms call these. (Not noinline, GCC would pair a free with a new that it has inlined.)
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++float8::testing::count;
  if (void* memory = std::malloc(size > 0 ? size : 1)) {
    return memory;
  }
  throw std::bad_alloc();
}

[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }

[[gnu::noinline]] void operator delete(void* memory, std::size_t /*size*/) noexcept {
  std::free(memory);
}
