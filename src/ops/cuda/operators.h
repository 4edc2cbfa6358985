#pragma once

#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <optional>
#include <tuple>

// The leaf operators for CUDA tensors; what they do is in schema.cpp and ops.h.
namespace float8::cuda {

at::Tensor amax(const at::Tensor& x, at::IntArrayRef block);

at::Tensor amax_to_scale(const at::Tensor& amax, at::ScalarType dtype, bool power_of_two);

at::Tensor cast(const at::Tensor& x, const at::Tensor& scale, at::ScalarType dtype, bool transpose);

std::tuple<at::Tensor, at::Tensor> quantize(const at::Tensor& x, at::ScalarType dtype,
                                            at::IntArrayRef block, bool power_of_two,
                                            bool transpose, const std::optional<at::Tensor>& after,
                                            const std::optional<at::Tensor>& amax);

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> quantize_pair(
    const at::Tensor& x, at::ScalarType dtype, at::IntArrayRef block, at::IntArrayRef block_t,
    bool power_of_two, const std::optional<at::Tensor>& amax);

at::Tensor transpose(const at::Tensor& data);

at::Tensor dequantize(const at::Tensor& data, const at::Tensor& scale_inv, at::ScalarType dtype);

at::Tensor cast_error(const at::Tensor& x, const at::Tensor& scale, at::ScalarType dtype);

at::Tensor scaled_mm(const at::Tensor& a, const at::Tensor& b, const at::Tensor& scale_inv_a,
                     const at::Tensor& scale_inv_b, const std::optional<at::Tensor>& bias,
                     at::ScalarType out_dtype, bool use_fast_accum, bool emulate);

void scaled_mm_add_(const at::Tensor& accumulator, const at::Tensor& a, const at::Tensor& b,
                    const at::Tensor& scale_inv_a, const at::Tensor& scale_inv_b,
                    bool use_fast_accum, bool emulate);

/// The two products; tests have their own.
struct Products {
  decltype(&scaled_mm) multiply = &scaled_mm;
  decltype(&scaled_mm_add_) multiply_add = &scaled_mm_add_;
};

/// Registers all of them in `library`.
inline void implement_operators(torch::Library& library, Products products = {}) {
  library.impl("amax", &amax);
  library.impl("amax_to_scale", &amax_to_scale);
  library.impl("cast", &cast);
  library.impl("quantize", &quantize);
  library.impl("quantize_pair", &quantize_pair);
  library.impl("transpose", &transpose);
  library.impl("dequantize", &dequantize);
  library.impl("cast_error", &cast_error);
  library.impl("scaled_mm", products.multiply);
  library.impl("scaled_mm_add_", products.multiply_add);
}

}  // namespace float8::cuda
