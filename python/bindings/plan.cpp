#include "float8/plan.h"

#include <pybind11/stl.h>

#include "bindings.h"
#include "src/plan/cost_model.h"

namespace py = pybind11;

namespace float8::python {
namespace {

void bind_linear_info(py::module_& module) {
  py::class_<LinearInfo>(module, "LinearInfo", "What the plan needs to know of a linear layer.")
      .def(py::init<std::string, std::int64_t, std::int64_t, bool, std::string, bool, std::string,
                    bool, std::vector<std::string>>(),
           py::arg("fqn"), py::arg("in_features"), py::arg("out_features"), py::kw_only(),
           py::arg("bias") = false, py::arg("type_name") = "Linear", py::arg("plain") = true,
           py::arg("why_not_plain") = "", py::arg("excluded_by_filter_fn") = false,
           py::arg("aliases") = std::vector<std::string>{})
      .def_readonly("fqn", &LinearInfo::fqn)
      .def_readonly("in_features", &LinearInfo::in_features)
      .def_readonly("out_features", &LinearInfo::out_features)
      .def_readonly("bias", &LinearInfo::bias)
      .def_readonly("type_name", &LinearInfo::type_name)
      .def_readonly("plain", &LinearInfo::plain)
      .def_readonly("why_not_plain", &LinearInfo::why_not_plain)
      .def_readonly("excluded_by_filter_fn", &LinearInfo::excluded_by_filter_fn)
      .def_readonly("aliases", &LinearInfo::aliases);
}

void bind_report(py::module_& module) {
  py::class_<LayerDecision>(module, "LayerDecision", "What happens to one layer, and why.")
      .def_readonly("fqn", &LayerDecision::fqn)
      .def_readonly("in_features", &LayerDecision::in_features)
      .def_readonly("out_features", &LayerDecision::out_features)
      .def_readonly("converted", &LayerDecision::converted)
      .def_readonly("reason", &LayerDecision::reason)
      .def("__repr__", [](const LayerDecision& layer) {
        return "LayerDecision(" + layer.fqn + ": " + layer.reason + ")";
      });
  py::class_<ConversionReport>(module, "ConversionReport",
                               "The decision for every linear layer of a model.")
      .def_readonly("layers", &ConversionReport::layers)
      .def_readonly("warnings", &ConversionReport::warnings)
      .def_property_readonly("converted", &ConversionReport::converted)
      .def_property_readonly("total", &ConversionReport::total)
      .def("__str__", &ConversionReport::to_string)
      .def("__repr__", [](const ConversionReport& report) {
        return "ConversionReport(" + std::to_string(report.converted()) + " of " +
               std::to_string(report.total()) + " linear layers converted)";
      });
}

}  // namespace

void bind_plan(py::module_& module) {
  bind_linear_info(module);
  bind_report(module);
  module.def(
      "plan_conversion",
      [](const std::vector<LinearInfo>& layers, py::handle config,
         const std::vector<std::string>& filter_fqns) {
        return plan_conversion(layers, to_linear_config(config), filter_fqns);
      },
      py::arg("layers"), py::arg("config"), py::arg("filter_fqns") = std::vector<std::string>{},
      "Decides for each layer whether it is converted; ConfigError where none would be.");
  module.def(
      "plan_layer",
      [](const LinearInfo& layer, py::handle config, const std::vector<std::string>& filter_fqns) {
        return plan_layer(layer, to_linear_config(config), filter_fqns);
      },
      py::arg("layer"), py::arg("config"), py::arg("filter_fqns") = std::vector<std::string>{},
      "The decision for one layer by the same rules, by itself.");
  module.def(
      "predicted_speedup",
      [](py::handle config, std::int64_t in_features, std::int64_t out_features,
         std::int64_t tokens) {
        GpuModel gpu;
        gpu.tokens = tokens;
        return predicted_speedup(in_features, out_features, make_recipe(to_linear_config(config)),
                                 gpu);
      },
      py::arg("config"), py::arg("in_features"), py::arg("out_features"), py::arg("tokens"),
      "A layer's time in BF16 / its time in FP8, by the cost model of auto_filter_small_kn.");
  module.def("fqn_matches", &fqn_matches, py::arg("pattern"), py::arg("fqn"),
             "Whether an entry of filter_fqns matches a module's name.");
}

}  // namespace float8::python
