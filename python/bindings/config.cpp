#include "float8/config.h"

#include <pybind11/stl.h>

#include <array>
#include <optional>
#include <variant>

#include "bindings.h"

namespace py = pybind11;

namespace float8::python {
namespace {

/// One field of Float8LinearConfig: its name and where its value is.
struct Field {
  const char* name;
  std::variant<CastConfig Float8LinearConfig::*, std::optional<CastConfig> Float8LinearConfig::*,
               Float8GemmConfig Float8LinearConfig::*, bool Float8LinearConfig::*>
      member;
};

using Config = Float8LinearConfig;
constexpr std::array kFields = {
    Field{"cast_config_input", &Config::cast_config_input},
    Field{"cast_config_input_for_grad_weight", &Config::cast_config_input_for_grad_weight},
    Field{"cast_config_weight", &Config::cast_config_weight},
    Field{"cast_config_weight_for_grad_input", &Config::cast_config_weight_for_grad_input},
    Field{"cast_config_grad_output", &Config::cast_config_grad_output},
    Field{"cast_config_grad_output_for_grad_weight",
          &Config::cast_config_grad_output_for_grad_weight},
    Field{"gemm_config_output", &Config::gemm_config_output},
    Field{"gemm_config_grad_input", &Config::gemm_config_grad_input},
    Field{"gemm_config_grad_weight", &Config::gemm_config_grad_weight},
    Field{"enable_fsdp_float8_all_gather", &Config::enable_fsdp_float8_all_gather},
    Field{"pad_inner_dim", &Config::pad_inner_dim},
    Field{"emulate", &Config::emulate},
    Field{"force_recompute_fp8_weight_in_bwd", &Config::force_recompute_fp8_weight_in_bwd},
    Field{"round_scales_to_power_of_2", &Config::round_scales_to_power_of_2},
};

[[noreturn]] void fail(const std::string& what, const std::string& required, py::handle found) {
  throw ConfigError("[Float8LinearConfig] " + what + " must be " + required + ", got " +
                    std::string(py::str(found)) + " (" + type_in_words(found) + ")");
}

const char* dtype_name(Format format) {
  return format == Format::kE4M3 ? "float8_e4m3fn" : "float8_e5m2";
}

/// The attribute of a Python object, or an error that says what the object should have been.
py::object attribute(py::handle object, const char* attribute, const std::string& what,
                     const char* type) {
  if (!py::hasattr(object, attribute)) {
    fail(what, type, object);
  }
  return object.attr(attribute);
}

/// The enumerator whose name is the value of a Python enum's member.
template <class Enum>
Enum to_enum(py::handle member, const std::string& what, const char* type,
             std::initializer_list<Enum> enumerators) {
  const py::object value = attribute(member, "value", what, type);
  for (const Enum enumerator : enumerators) {
    if (py::isinstance<py::str>(value) && value.cast<std::string>() == name_of(enumerator)) {
      return enumerator;
    }
  }
  fail(what, type, member);
}

std::optional<Format> to_format(py::handle dtype, const std::string& what) {
  if (dtype.is_none()) {
    return std::nullopt;
  }
  const std::string name = py::str(dtype);
  for (const Format format : {Format::kE4M3, Format::kE5M2}) {
    if (name == std::string("torch.") + dtype_name(format)) {
      return format;
    }
  }
  fail(what, "torch.float8_e4m3fn, torch.float8_e5m2 or None", dtype);
}

bool to_bool(py::handle value, const std::string& what) {
  if (!py::isinstance<py::bool_>(value)) {
    fail(what, "True or False", value);
  }
  return value.cast<bool>();
}

/// Reads a field's Python value into the C++ field.
struct FieldReader {
  Config& config;
  const char* name;
  py::handle value;

  void operator()(CastConfig Config::*member) const { config.*member = to_cast(value, name); }
  void operator()(std::optional<CastConfig> Config::*member) const {
    if (!value.is_none()) {
      config.*member = to_cast(value, name);
    }
  }
  void operator()(Float8GemmConfig Config::*member) const {
    const py::object flag = attribute(value, "use_fast_accum", name, "a Float8GemmConfig");
    (config.*member).use_fast_accum = to_bool(flag, std::string(name) + ".use_fast_accum");
  }
  void operator()(bool Config::*member) const { config.*member = to_bool(value, name); }
};

/// Makes a field's plain Python value.
struct FieldWriter {
  const Config& config;

  py::object operator()(const CastConfig& cast) const {
    const std::optional<Format> format = cast.target_dtype;
    return py::make_tuple(name_of(cast.scaling_type), name_of(cast.scaling_granularity),
                          format ? py::object(py::str(dtype_name(*format))) : py::none());
  }
  py::object operator()(CastConfig Config::*member) const { return (*this)(config.*member); }
  py::object operator()(std::optional<CastConfig> Config::*member) const {
    return config.*member ? (*this)(*(config.*member)) : py::none();
  }
  py::object operator()(Float8GemmConfig Config::*member) const {
    py::dict gemm;
    gemm["use_fast_accum"] = (config.*member).use_fast_accum;
    return gemm;
  }
  py::object operator()(bool Config::*member) const { return py::bool_(config.*member); }
};

py::tuple operator_arguments(py::handle config) {
  const LinearRecipe recipe = make_recipe(to_linear_config(config));
  return py::make_tuple(
      dtype_name(recipe.input_dtype), dtype_name(recipe.weight_dtype),
      dtype_name(recipe.grad_output_dtype), recipe.output_blocks, recipe.grad_input_blocks,
      recipe.grad_weight_blocks, recipe.output_fast_accum, recipe.grad_input_fast_accum,
      recipe.grad_weight_fast_accum, recipe.power_of_two, recipe.recompute_weight, recipe.emulate);
}

}  // namespace

CastConfig to_cast(py::handle cast, const std::string& name) {
  const auto field = [&](const char* field_name) {
    return attribute(cast, field_name, name, "a CastConfig");
  };
  CastConfig value;
  value.scaling_type = to_enum(field("scaling_type"), name + ".scaling_type", "a ScalingType",
                               {ScalingType::kDynamic, ScalingType::kDisabled});
  value.scaling_granularity =
      to_enum(field("scaling_granularity"), name + ".scaling_granularity", "a ScalingGranularity",
              {ScalingGranularity::kTensorwise, ScalingGranularity::kAxiswise});
  value.target_dtype = to_format(field("target_dtype"), name + ".target_dtype");
  value.validate(name);
  return value;
}

Float8LinearConfig to_linear_config(py::handle config) {
  Float8LinearConfig value;
  for (const Field& field : kFields) {
    const py::object found = attribute(config, field.name, "config", "a Float8LinearConfig");
    std::visit(FieldReader{value, field.name, found}, field.member);
  }
  return value;
}

py::dict to_fields(const Float8LinearConfig& config) {
  py::dict fields;
  for (const Field& field : kFields) {
    fields[field.name] = std::visit(FieldWriter{config}, field.member);
  }
  return fields;
}

std::string type_in_words(py::handle value) {
  const std::string name = py::str(py::type::handle_of(value).attr("__name__"));
  const bool vowel = std::string("aeiouAEIOU").find(name.front()) != std::string::npos;
  return (vowel ? "an " : "a ") + name;
}

void bind_config(py::module_& module) {
  module.def("recipe_names", &recipe_names, "The valid names of recipes.");
  module.def(
      "recipe", [](const std::string& name) { return to_fields(Config::from_recipe_name(name)); },
      py::arg("name"), "The fields of a recipe's Float8LinearConfig.");
  module.def(
      "resolve", [](py::handle config) { return to_fields(to_linear_config(config).resolved()); },
      py::arg("config"), "The fields of a checked Float8LinearConfig, with nothing left open.");
  module.def("operator_arguments", &operator_arguments, py::arg("config"),
             "The arguments of torch.ops.float8.linear, dtypes by name.");
  module.def(
      "check_cast", [](py::handle cast) { to_cast(cast, "CastConfig"); }, py::arg("cast"),
      "Raises ConfigError for a CastConfig that cannot work.");
  module.def(
      "short_str", [](py::handle cast) { return to_cast(cast, "CastConfig").short_str(); },
      py::arg("cast"), "For example 'dyn_ten_e4m3'.");
}

}  // namespace float8::python
