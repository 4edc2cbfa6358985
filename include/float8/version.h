// The library's version.
#pragma once

#include "float8/export.h"

namespace float8 {

// Returns the version of libfloat8.so, such as "0.1.0": the one that is loaded, which the headers
// that a program was compiled with need not match.
FLOAT8_API const char* version() noexcept;

}  // namespace float8
