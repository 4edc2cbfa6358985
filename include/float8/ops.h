#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <optional>
#include <tuple>

#include "float8/config.h"
#include "float8/export.h"
#include "float8/format.h"

/// The registered operators (torch.ops.float8.* in Python) as C++ functions. Each goes through
/// PyTorch's dispatcher, so it works on every backend, under torch.compile and on fake tensors.
///
/// What they share:
/// - `x` is float32, bfloat16 or float16, of any strides. Results are new tensors.
/// - A `Block` is the shape of the values that share one scale: {rows, columns}, 0 for the whole
///   extent. {0, 0} is one scale for the tensor, {1, 0} one for each row, {0, 1} for each column.
/// - A scale is float32 with one value for each block: [1, 1], [M, 1] or [1, K]. `scale` multiplies
///   before the cast; `scale_inv` = 1 / scale is what a GEMM takes.
/// - FP8 data is contiguous, its last dimension padded with zeros to a multiple of 16 (pad16).
/// - Errors are c10::Error (RuntimeError in Python) that say what was required and what came.
/// - Nothing here synchronises with a device.
namespace float8 {

using Block = std::array<std::int64_t, 2>;
inline constexpr Block kTensorBlock = {0, 0};
inline constexpr Block kRowBlock = {1, 0};
inline constexpr Block kColumnBlock = {0, 1};

/// float8_e4m3fn for E4M3, float8_e5m2 for E5M2.
FLOAT8_API at::ScalarType scalar_type_of(Format format);

/// max|x| of each block of x [M, K], in x's dtype. NaN wins over infinity, infinity over the rest.
/// Blocks: tensor, row, column. An empty block has amax 0.
FLOAT8_API at::Tensor amax(const at::Tensor& x, Block block = kTensorBlock);

/// The scale for each value of `amax` (any shape; float32, bfloat16 or float16), float32. See
/// scaling.h for the formula.
FLOAT8_API at::Tensor amax_to_scale(const at::Tensor& amax, at::ScalarType dtype,
                                    bool power_of_two = false);

/// clamp(float32(x) * scale) rounded to nearest even: [M, pad16(K)], or with `transpose` [K,
/// pad16(M)]. x: [M, K]; scale: [1, 1], [M, 1] or [1, K] float32.
FLOAT8_API at::Tensor cast(const at::Tensor& x, const at::Tensor& scale, at::ScalarType dtype,
                           bool transpose = false);

/// Dynamic scaling: amax, scale and cast of x [M, K]. Returns data ([M, pad16(K)], or with
/// `transpose` [K, pad16(M)]) and scale_inv ([1, 1], or [rows of data, 1]). The block (tensor or
/// row) is that of the result. `after` is an ordering token for traced graphs; see schema.cpp.
/// `amax`: max|x| where it is known already, [1, 1] of x's dtype, for a block of the whole tensor.
/// A larger value (the maximum over shards) gives its scale; a smaller one, codes of no meaning.
FLOAT8_API std::tuple<at::Tensor, at::Tensor> quantize(
    const at::Tensor& x, at::ScalarType dtype, Block block = kTensorBlock,
    bool power_of_two = false, bool transpose = false,
    const std::optional<at::Tensor>& after = std::nullopt,
    const std::optional<at::Tensor>& amax = std::nullopt);

/// Both layouts of x [M, K] from the fewest passes over it: data [M, pad16(K)], its scale_inv,
/// data_t [K, pad16(M)], its scale_inv. Bit for bit what two calls of quantize give. `amax` as
/// there, for two blocks of the whole tensor.
FLOAT8_API std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> quantize_pair(
    const at::Tensor& x, at::ScalarType dtype, Block block = kTensorBlock,
    Block block_t = kTensorBlock, bool power_of_two = false,
    const std::optional<at::Tensor>& amax = std::nullopt);

/// FP8 data [M, K] transposed: [K, pad16(M)].
FLOAT8_API at::Tensor transpose(const at::Tensor& data);

/// float32(data) * scale_inv, rounded once to `dtype`. data: [M, K] FP8; scale_inv: [1, 1], [M, 1]
/// or [1, K].
FLOAT8_API at::Tensor dequantize(const at::Tensor& data, const at::Tensor& scale_inv,
                                 at::ScalarType dtype);

/// What the cast of x [M, K] with `scale` ([1, 1], [M, 1] or [1, K]) loses, as float64 [4]:
/// how many values saturate (the clamp decides, not rounding: never with a scale made from the
/// amax), how many become zero that were not, the sum of x^2, and the sum of (dequantized - x)^2.
/// The two sums are NaN where a value is not finite.
FLOAT8_API at::Tensor cast_error(const at::Tensor& x, const at::Tensor& scale,
                                 at::ScalarType dtype);

/// D[M, N] = (a[M, K] b[N, K]ᵀ) * scale_inv_a * scale_inv_bᵀ, accumulated in float32 and rounded
/// once to out_dtype (float32, bfloat16, float16); then bias[N], of that dtype, is added. A GPU's
/// GEMM adds a 16-bit bias itself, before it rounds: once instead of twice. K must be a multiple of
/// 16. Scales: [1, 1], or [M, 1] and [N, 1]. At most one operand may be E5M2.
FLOAT8_API at::Tensor scaled_mm(const at::Tensor& a, const at::Tensor& b,
                                const at::Tensor& scale_inv_a, const at::Tensor& scale_inv_b,
                                const std::optional<at::Tensor>& bias, at::ScalarType out_dtype,
                                bool use_fast_accum = false, bool emulate = false);

/// accumulator[M, N] += (a[M, K] b[N, K]ᵀ) * scale_inv_a * scale_inv_bᵀ, in float32: for trainers
/// that keep a float32 sum of a weight's gradients. accumulator: float32; the rest as in scaled_mm.
FLOAT8_API void scaled_mm_add_(const at::Tensor& accumulator, const at::Tensor& a,
                               const at::Tensor& b, const at::Tensor& scale_inv_a,
                               const at::Tensor& scale_inv_b, bool use_fast_accum = false,
                               bool emulate = false);

/// input [..., K] weight[N, K]ᵀ + bias[N] with FP8 GEMMs as the recipe says, forward and backward.
/// The result has the input's dtype and shape [..., N]. On a CPU the recipe must say `emulate`.
/// With `main_grad` [N, K] float32 the backward pass adds the weight's gradient to it, without
/// rounding it first, and autograd gets none: weight must be a leaf without hooks, since nothing
/// would call them (DDP's are hooks).
FLOAT8_API at::Tensor linear(const at::Tensor& input, const at::Tensor& weight,
                             const std::optional<at::Tensor>& bias, const LinearRecipe& recipe,
                             const std::optional<at::Tensor>& main_grad = std::nullopt);

}  // namespace float8
