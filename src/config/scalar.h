#pragma once

#include <optional>
#include <string>

#include "float8/document.h"

namespace float8 {

/// The value of a scalar by the core schema of YAML 1.2. `tag` is what yaml-cpp reports: "?" for a
/// plain scalar, "!" for a quoted one, or the tag that the file gives it. Empty where the text
/// cannot have that tag, where the tag is none of the core schema's, or where an integer does not
/// fit into 64 bits.
std::optional<Node> resolve_scalar(const std::string& tag, const std::string& text, int line);

}  // namespace float8
