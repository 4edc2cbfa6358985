#include "float8/version.h"

namespace float8 {

const char* version() noexcept { return FLOAT8_VERSION; }

}  // namespace float8
