#pragma once

#include <pybind11/pybind11.h>

#include <string>

#include "float8/config.h"
#include "float8/document.h"

/// The parts of float8._C. No torch headers here: dtypes pass as their names.
namespace float8::python {

void bind_config(pybind11::module_& module);
void bind_cpu_gemm(pybind11::module_& module);
void bind_document(pybind11::module_& module);
void bind_plan(pybind11::module_& module);

/// A Python float8.CastConfig as C++ value; errors call it `name`. Throws ConfigError.
CastConfig to_cast(pybind11::handle cast, const std::string& name);

/// A Python float8.Float8LinearConfig as C++ value. Throws ConfigError.
Float8LinearConfig to_linear_config(pybind11::handle config);

/// All fields by name: casts as (type, granularity, dtype's name or None), products as a dict.
pybind11::dict to_fields(const Float8LinearConfig& config);

/// Plain Python values (None, bool, int, float, str, list, dict) and back. Throws ConfigError for
/// anything else; `key` is the dotted key of the value, `source` what errors call the whole.
Node to_node(pybind11::handle value, const std::string& source, const std::string& key);
pybind11::object to_python(const Node& node);

/// "a str", "an int": a Python value's type in an error's words.
std::string type_in_words(pybind11::handle value);

}  // namespace float8::python
