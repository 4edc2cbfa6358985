// The C++ functions of ops.h: each looks its operator up once and calls it through the dispatcher.

#include <ATen/core/dispatch/Dispatcher.h>

#include "float8/ops.h"
#include "src/ops/linear/linear.h"

namespace float8 {
namespace {

template <class Signature>
auto find(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

}  // namespace

at::Tensor amax(const at::Tensor& x, Block block) {
  static const auto op = find<at::Tensor(const at::Tensor&, at::IntArrayRef)>("float8::amax");
  return op.call(x, block);
}

at::Tensor amax_to_scale(const at::Tensor& amax, at::ScalarType dtype, bool power_of_two) {
  static const auto op =
      find<at::Tensor(const at::Tensor&, at::ScalarType, bool)>("float8::amax_to_scale");
  return op.call(amax, dtype, power_of_two);
}

at::Tensor cast(const at::Tensor& x, const at::Tensor& scale, at::ScalarType dtype,
                bool transpose) {
  static const auto op =
      find<at::Tensor(const at::Tensor&, const at::Tensor&, at::ScalarType, bool)>("float8::cast");
  return op.call(x, scale, dtype, transpose);
}

std::tuple<at::Tensor, at::Tensor> quantize(const at::Tensor& x, at::ScalarType dtype, Block block,
                                            bool power_of_two, bool transpose,
                                            const std::optional<at::Tensor>& after,
                                            const std::optional<at::Tensor>& amax) {
  using Result = std::tuple<at::Tensor, at::Tensor>;
  static const auto op =
      find<Result(const at::Tensor&, at::ScalarType, at::IntArrayRef, bool, bool,
                  const std::optional<at::Tensor>&, const std::optional<at::Tensor>&)>(
          "float8::quantize");
  return op.call(x, dtype, block, power_of_two, transpose, after, amax);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> quantize_pair(
    const at::Tensor& x, at::ScalarType dtype, Block block, Block block_t, bool power_of_two,
    const std::optional<at::Tensor>& amax) {
  using Result = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>;
  static const auto op =
      find<Result(const at::Tensor&, at::ScalarType, at::IntArrayRef, at::IntArrayRef, bool,
                  const std::optional<at::Tensor>&)>("float8::quantize_pair");
  return op.call(x, dtype, block, block_t, power_of_two, amax);
}

at::Tensor transpose(const at::Tensor& data) {
  static const auto op = find<at::Tensor(const at::Tensor&)>("float8::transpose");
  return op.call(data);
}

at::Tensor dequantize(const at::Tensor& data, const at::Tensor& scale_inv, at::ScalarType dtype) {
  static const auto op =
      find<at::Tensor(const at::Tensor&, const at::Tensor&, at::ScalarType)>("float8::dequantize");
  return op.call(data, scale_inv, dtype);
}

at::Tensor cast_error(const at::Tensor& x, const at::Tensor& scale, at::ScalarType dtype) {
  static const auto op =
      find<at::Tensor(const at::Tensor&, const at::Tensor&, at::ScalarType)>("float8::cast_error");
  return op.call(x, scale, dtype);
}

at::Tensor scaled_mm(const at::Tensor& a, const at::Tensor& b, const at::Tensor& scale_inv_a,
                     const at::Tensor& scale_inv_b, const std::optional<at::Tensor>& bias,
                     at::ScalarType out_dtype, bool use_fast_accum, bool emulate) {
  static const auto op =
      find<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
                      const std::optional<at::Tensor>&, at::ScalarType, bool, bool)>(
          "float8::scaled_mm");
  return op.call(a, b, scale_inv_a, scale_inv_b, bias, out_dtype, use_fast_accum, emulate);
}

void scaled_mm_add_(const at::Tensor& accumulator, const at::Tensor& a, const at::Tensor& b,
                    const at::Tensor& scale_inv_a, const at::Tensor& scale_inv_b,
                    bool use_fast_accum, bool emulate) {
  static const auto op =
      find<void(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
                const at::Tensor&, bool, bool)>("float8::scaled_mm_add_");
  op.call(accumulator, a, b, scale_inv_a, scale_inv_b, use_fast_accum, emulate);
}

at::Tensor linear(const at::Tensor& input, const at::Tensor& weight,
                  const std::optional<at::Tensor>& bias, const LinearRecipe& recipe,
                  const std::optional<at::Tensor>& main_grad) {
  static const auto op =
      find<std::remove_pointer_t<decltype(&ops::linear_kernel<nullptr>)>>("float8::linear");
  return op.call(input, weight, bias, scalar_type_of(recipe.input_dtype),
                 scalar_type_of(recipe.weight_dtype), scalar_type_of(recipe.grad_output_dtype),
                 recipe.output_blocks, recipe.grad_input_blocks, recipe.grad_weight_blocks,
                 recipe.output_fast_accum, recipe.grad_input_fast_accum,
                 recipe.grad_weight_fast_accum, recipe.power_of_two, recipe.recompute_weight,
                 recipe.emulate, main_grad);
}

}  // namespace float8
