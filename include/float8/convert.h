#pragma once

#include <torch/nn/module.h>

#include <string>
#include <vector>

#include "float8/config.h"
#include "float8/export.h"
#include "float8/plan.h"
#include "float8/yaml.h"

namespace float8 {

/// What conversion of `module` would do, without doing it: a decision and a reason for each linear
/// layer below it, by name, in the order of named_modules().
///
/// A layer that is reachable under two names is listed once, under the first, and excluded by a
/// filter that matches either name.
/// Throws ConfigError where no layer would be converted.
FLOAT8_API ConversionReport plan_conversion(const torch::nn::Module& module,
                                            const Float8LinearConfig& config,
                                            const std::vector<std::string>& filter_fqns = {});

/// Makes the float8::Linear layers below `module` (itself included) compute in FP8, except those
/// that `filter_fqns` excludes (see fqn_matches in plan.h) and those whose sizes do not allow it.
///
/// All or nothing: the plan comes first, and an error leaves the model as it was. Parameters stay
/// the same tensors. A stock torch::nn::Linear that the plan would convert is an error that names
/// it, for its forward cannot be reached from outside: declare it as float8::Linear, or exclude it.
/// Returns the report; print its to_string(). Throws ConfigError.
FLOAT8_API ConversionReport
convert_to_float8_training(torch::nn::Module& module, const Float8LinearConfig& config = {},
                           const std::vector<std::string>& filter_fqns = {});

/// The same from the `fp8:` section of a file. With `enabled: false` the model is left alone, and
/// the report is empty but for a warning that says so.
FLOAT8_API ConversionReport convert_to_float8_training(torch::nn::Module& module,
                                                       const Fp8Config& config);

}  // namespace float8
