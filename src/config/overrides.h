#pragma once

#include "float8/document.h"

namespace float8 {

/// Sets each dotted key of the document to its value, in their order; see Overrides.
void apply_overrides(Document& document, const Overrides& overrides);

}  // namespace float8
