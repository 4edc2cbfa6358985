#include <utility>

#include "bindings.h"

namespace py = pybind11;

namespace {

/// The message as Python text, whatever bytes a file or path has put into it.
py::object message_of(const std::exception& error) {
  const std::string text = error.what();
  return py::reinterpret_steal<py::object>(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
}

void register_config_error(py::module_& module) {
  // Created by hand and not by register_exception, which cannot replace invalid UTF-8.
  static py::handle config_error;
  config_error = PyErr_NewExceptionWithDoc(
      "float8.ConfigError", "A configuration that cannot work.", PyExc_ValueError, nullptr);
  module.attr("ConfigError") = config_error;
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      std::rethrow_exception(std::move(pointer));
    } catch (const float8::ConfigError& error) {
      PyErr_SetObject(config_error.ptr(), message_of(error).ptr());
    }
  });
}

}  // namespace

PYBIND11_MODULE(_C, module) {
  module.doc() = "Configuration, conversion plan and YAML reader of libfloat8.";
  register_config_error(module);
  float8::python::bind_config(module);
  float8::python::bind_cpu_gemm(module);
  float8::python::bind_document(module);
  float8::python::bind_plan(module);
}
