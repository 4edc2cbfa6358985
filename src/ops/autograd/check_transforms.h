#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace float8::ops {

/// An error where a tangent of forward-mode differentiation would be lost: a layer has none.
void check_no_tangent(const at::Tensor& input, const at::Tensor& weight,
                      const std::optional<at::Tensor>& bias);

/// An error under torch.func.grad and what is built on it, which cannot see a gradient that C++
/// computes.
void check_no_functional_gradient();

}  // namespace float8::ops
