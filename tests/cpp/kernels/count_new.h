#pragma once

#include <cstdint>

namespace float8::testing {

/// Calls of operator new by this thread so far.
std::int64_t allocations();

}  // namespace float8::testing
