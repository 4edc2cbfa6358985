#include "float8/convert.h"

#include <torch/nn/modules/linear.h>

#include <unordered_map>
#include <utility>

#include "float8/linear.h"

namespace float8 {
namespace {

// A linear layer of the model; exactly one of the two is set.
struct Layer {
  LinearImpl* ours = nullptr;
  const torch::nn::LinearImpl* stock = nullptr;
};

struct Layers {
  std::vector<LinearInfo> infos;
  std::vector<Layer> layers;
  std::unordered_map<const torch::nn::Module*, std::size_t> index;  // a module may have many names

  void add(const torch::nn::Module& module, LinearInfo info, Layer layer) {
    const auto [position, is_new] = index.emplace(&module, infos.size());
    if (is_new) {
      infos.push_back(std::move(info));
      layers.push_back(layer);
    } else {
      infos[position->second].aliases.push_back(std::move(info.fqn));
    }
  }
};

template <class Impl>
LinearInfo info_of(const std::string& fqn, const Impl& layer, const char* type_name) {
  LinearInfo info;
  info.fqn = fqn;
  info.in_features = layer.weight.dim() == 2 ? layer.weight.size(1) : 0;
  info.out_features = layer.weight.dim() == 2 ? layer.weight.size(0) : 0;
  info.bias = layer.bias.defined();
  info.type_name = type_name;
  return info;
}

Layers find_layers(const torch::nn::Module& module) {
  Layers found;
  // The module itself cannot be named by named_modules: it may live on the stack.
  const auto visit = [&found](const std::string& fqn, const torch::nn::Module& candidate) {
    if (const auto* ours = dynamic_cast<const LinearImpl*>(&candidate)) {
      LinearInfo info = info_of(fqn, *ours, "float8::Linear");
      info.plain = !ours->is_float8();
      info.why_not_plain = info.plain ? "" : "it is converted already";
      // The tree is the caller's, and not const there; convert_to_float8_training takes it so.
      found.add(candidate, std::move(info), {.ours = const_cast<LinearImpl*>(ours)});
    } else if (const auto* stock = dynamic_cast<const torch::nn::LinearImpl*>(&candidate)) {
      found.add(candidate, info_of(fqn, *stock, "torch::nn::Linear"), {.stock = stock});
    }
  };
  visit("", module);
  for (const auto& item : module.named_modules("", /*include_self=*/false)) {
    visit(item.key(), *item.value());
  }
  return found;
}

// An error that names every stock layer which the plan would convert.
void check_reachable(const Layers& found, const ConversionReport& report) {
  std::string names;
  for (std::size_t i = 0; i < found.layers.size(); ++i) {
    if (found.layers[i].stock != nullptr && report.layers[i].converted) {
      names += (names.empty() ? "" : ", ") + report.layers[i].fqn;
    }
  }
  if (!names.empty()) {
    throw ConfigError(
        "[convert_to_float8_training] every layer to convert must be a float8::Linear, got "
        "torch::nn::Linear at " +
        names + "; declare it as float8::Linear, or name it in filter_fqns");
  }
}

}  // namespace

ConversionReport plan_conversion(const torch::nn::Module& module, const Float8LinearConfig& config,
                                 const std::vector<std::string>& filter_fqns) {
  const Layers found = find_layers(module);
  ConversionReport report = plan_conversion(found.infos, config, filter_fqns);
  check_reachable(found, report);
  return report;
}

ConversionReport convert_to_float8_training(torch::nn::Module& module,
                                            const Float8LinearConfig& config,
                                            const std::vector<std::string>& filter_fqns) {
  const Layers found = find_layers(module);
  ConversionReport report = plan_conversion(found.infos, config, filter_fqns);
  check_reachable(found, report);
  static_cast<void>(make_recipe(config));  // what can fail, fails before the first layer changes
  for (std::size_t i = 0; i < found.layers.size(); ++i) {
    if (report.layers[i].converted) {
      found.layers[i].ours->convert(config);
    }
  }
  return report;
}

ConversionReport convert_to_float8_training(torch::nn::Module& module, const Fp8Config& config) {
  if (!config.enabled) {
    ConversionReport report;
    report.warnings.emplace_back("fp8.enabled is false: the model is left in high precision");
    return report;
  }
  return convert_to_float8_training(module, config.linear_config(), config.filter_fqns);
}

}  // namespace float8
