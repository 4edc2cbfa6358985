#include "float8/document.h"

#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <cerrno>
#include <system_error>

#include "bindings.h"
#include "float8/yaml.h"

namespace py = pybind11;

namespace float8::python {
namespace {

using Path = std::filesystem::path;

/// The bytes of a str; those of the command line that are no UTF-8 come back as they were.
std::string bytes_of(const py::str& text) {
  const auto bytes = py::reinterpret_steal<py::bytes>(
      PyUnicode_AsEncodedString(text.ptr(), "utf-8", "surrogateescape"));
  if (!bytes) {
    throw py::error_already_set();
  }
  return bytes;
}

Overrides to_overrides(const std::optional<std::vector<std::pair<py::str, py::str>>>& pairs) {
  Overrides overrides;
  for (const auto& [key, text] : pairs.value_or(std::vector<std::pair<py::str, py::str>>{})) {
    overrides.emplace_back(bytes_of(key), bytes_of(text));
  }
  return overrides;
}

/// What `load` returns; Python's own OSError (FileNotFoundError, ...) for what the system refused.
template <class Load>
auto with_os_errors(const Path& path, const Load& load) {
  try {
    return load();
  } catch (const std::system_error& error) {
    errno = error.code().value();
    PyErr_SetFromErrnoWithFilename(PyExc_OSError, path.c_str());
    throw py::error_already_set();
  }
}

struct ToPython {
  py::object operator()(std::nullptr_t) const { return py::none(); }
  py::object operator()(bool value) const { return py::bool_(value); }
  py::object operator()(std::int64_t value) const { return py::int_(value); }
  py::object operator()(double value) const { return py::float_(value); }
  py::object operator()(const std::string& value) const { return py::str(value); }
  py::object operator()(const List& list) const {
    py::list values;
    for (const Node& node : list) {
      values.append(to_python(node));
    }
    return values;
  }
  py::object operator()(const Map& map) const {
    py::dict values;
    for (const Entry& entry : map) {
      values[py::str(entry.key)] = to_python(entry.value);
    }
    return values;
  }
};

/// Collects the line of every key and list element below a node, by dotted key.
void collect_lines(const Node& node, const std::string& prefix, py::dict& lines) {
  const auto collect = [&](const std::string& key, int line, const Node& value) {
    lines[py::str(prefix + key)] = line;
    collect_lines(value, prefix + key + ".", lines);
  };
  if (const auto* list = std::get_if<List>(&node.value)) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      collect(std::to_string(i), (*list)[i].line, (*list)[i]);
    }
  } else if (const auto* map = std::get_if<Map>(&node.value)) {
    for (const Entry& entry : *map) {
      collect(entry.key, entry.line, entry.value);
    }
  }
}

/// Counts the depth of a conversion, as Python does: a list that holds itself is a RecursionError.
class RecursionGuard {
 public:
  RecursionGuard() {
    if (Py_EnterRecursiveCall(" while reading a configuration") != 0) {
      throw py::error_already_set();
    }
  }
  ~RecursionGuard() { Py_LeaveRecursiveCall(); }
  RecursionGuard(const RecursionGuard&) = delete;
  RecursionGuard& operator=(const RecursionGuard&) = delete;
};

std::int64_t to_integer(py::handle value, const std::string& source, const std::string& key) {
  int overflow = 0;
  const std::int64_t integer = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
  if (overflow != 0) {
    throw ConfigError(
        config_error_message({source, kNoLine, key, "an integer of 64 bits", "a larger one"}));
  }
  return integer;
}

Config config_of(const py::dict& sections, const std::string& source) {
  return read_config({source, to_node(sections, source, "")});
}

}  // namespace

py::object to_python(const Node& node) { return std::visit(ToPython{}, node.value); }

Node to_node(py::handle value, const std::string& source, const std::string& key) {
  const auto below = [&](const std::string& part) { return key.empty() ? part : key + "." + part; };
  const RecursionGuard guard;
  Node node{nullptr, kNoLine};
  if (value.is_none()) {
    return node;
  }
  if (py::isinstance<py::bool_>(value)) {
    node.value = value.cast<bool>();
  } else if (py::isinstance<py::int_>(value)) {
    node.value = to_integer(value, source, key);
  } else if (py::isinstance<py::float_>(value)) {
    node.value = value.cast<double>();
  } else if (py::isinstance<py::str>(value)) {
    node.value = value.cast<std::string>();
  } else if (py::isinstance<py::list>(value) || py::isinstance<py::tuple>(value)) {
    List list;
    for (const py::handle element : py::reinterpret_borrow<py::sequence>(value)) {
      list.push_back(to_node(element, source, below(std::to_string(list.size()))));
    }
    node.value = std::move(list);
  } else if (py::isinstance<py::dict>(value)) {
    Map map;
    for (const auto& [name, element] : py::reinterpret_borrow<py::dict>(value)) {
      const std::string text = py::str(name);
      map.push_back({text, kNoLine, to_node(element, source, below(text))});
    }
    node.value = std::move(map);
  } else {
    throw ConfigError(config_error_message(
        {source, kNoLine, key, "a value that YAML can hold", type_in_words(value)}));
  }
  return node;
}

void bind_document(py::module_& module) {
  using Pairs = std::optional<std::vector<std::pair<py::str, py::str>>>;
  module.def(
      "load_document",
      [](const Path& path, const Pairs& overrides) {
        const Document document =
            with_os_errors(path, [&] { return load_document(path, to_overrides(overrides)); });
        py::dict lines;
        collect_lines(document.root, "", lines);
        return py::make_tuple(to_python(document.root), lines);
      },
      py::arg("path"), py::arg("overrides") = py::none(),
      "The whole file as plain Python values, and the line of each dotted key.");
  module.def(
      "load_config",
      [](const Path& path, const Pairs& overrides) {
        const Config config =
            with_os_errors(path, [&] { return load_config(path, to_overrides(overrides)); });
        return to_python(to_document(config).root);
      },
      py::arg("path"), py::arg("overrides") = py::none(),
      "The sections fp8 and compile of a file, every key present.");
  module.def(
      "check_config",
      [](const py::dict& sections, const std::string& source) {
        return to_python(to_document(config_of(sections, source)).root);
      },
      py::arg("sections"), py::arg("source"),
      "Sections that were made in Python, checked as those of a file are.");
  module.def(
      "linear_config",
      [](const py::dict& sections) {
        return to_fields(config_of(sections, "Fp8Config").fp8.linear_config());
      },
      py::arg("sections"), "The fields of the Float8LinearConfig that the section fp8 stands for.");
  module.def(
      "dump", [](const py::dict& sections) { return dump(config_of(sections, "Config")); },
      py::arg("sections"), "YAML text of the sections.");
  module.def(
      "config_error_message",
      [](const std::string& source, int line, const std::string& key, const std::string& expected,
         const std::string& found, const std::vector<std::string>& candidates,
         const std::string& advice) {
        return config_error_message({source, line, key, expected, found, candidates, advice});
      },
      py::arg("source"), py::arg("line"), py::arg("key"), py::arg("expected"), py::arg("found"),
      py::arg("candidates") = std::vector<std::string>{}, py::arg("advice") = "",
      "The one form of configuration errors; line 0 is the command line, -1 none.");
}

}  // namespace float8::python
