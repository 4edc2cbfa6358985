#include <ATen/core/grad_mode.h>
#include <c10/core/impl/TorchDispatchModeTLS.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "src/ops/autograd/check_transforms.h"
#include "src/ops/check.h"
#include "src/ops/linear/linear.h"

namespace float8::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

// A recipe as a list of integers, and back. Compiled autograd carries it through Python: it cannot
// hash a tuple that holds lists, and forgets the type of a list that is empty.
std::vector<std::int64_t> to_integers(const LinearRecipe& r) {
  std::vector<std::int64_t> values = {
      static_cast<std::int64_t>(scalar_type_of(r.input_dtype)),
      static_cast<std::int64_t>(scalar_type_of(r.weight_dtype)),
      static_cast<std::int64_t>(scalar_type_of(r.grad_output_dtype))};
  for (const bool flag : {r.output_fast_accum, r.grad_input_fast_accum, r.grad_weight_fast_accum,
                          r.power_of_two, r.recompute_weight, r.emulate}) {
    values.push_back(static_cast<std::int64_t>(flag));
  }
  for (const auto& blocks : {r.output_blocks, r.grad_input_blocks, r.grad_weight_blocks}) {
    values.push_back(static_cast<std::int64_t>(blocks.size()));
    values.insert(values.end(), blocks.begin(), blocks.end());
  }
  return values;
}

LinearRecipe to_recipe(at::IntArrayRef values) {
  std::size_t next = 0;
  const auto dtype = [&] { return static_cast<at::ScalarType>(values[next++]); };
  const auto flag = [&] { return values[next++] != 0; };
  const auto blocks = [&] {
    const auto size = static_cast<std::size_t>(values[next]);
    const at::IntArrayRef result = values.slice(next + 1, size);
    next += size + 1;
    return result.vec();
  };
  const auto format = [&] { return check_format("linear", dtype()); };
  LinearRecipe r;  // in the order of to_integers
  r.input_dtype = format();
  r.weight_dtype = format();
  r.grad_output_dtype = format();
  r.output_fast_accum = flag();
  r.grad_input_fast_accum = flag();
  r.grad_weight_fast_accum = flag();
  r.power_of_two = flag();
  r.recompute_weight = flag();
  r.emulate = flag();
  r.output_blocks = blocks();
  r.grad_input_blocks = blocks();
  r.grad_weight_blocks = blocks();
  return r;
}

class LinearFunction : public torch::autograd::Function<LinearFunction> {
 public:
  static constexpr bool is_traceable = true;

  static Variable forward(AutogradContext* context, const Variable& input, const Variable& weight,
                          const std::optional<Variable>& bias, const LinearRecipe& recipe,
                          LinearNeeds needs, const std::optional<Variable>& main_grad) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    const LinearForward result = linear_forward(input, weight, bias, recipe, needs);
    const LinearSaved& saved = result.saved;
    context->save_for_backward(
        {saved.input, saved.input_scale_inv, saved.weight, saved.weight_scale_inv});
    context->saved_data["recipe"] = to_integers(recipe);
    context->saved_data["weight_dtype"] = weight.scalar_type();
    if (bias) {
      context->saved_data["bias_dtype"] = bias->scalar_type();
    }
    if (main_grad) {  // no saved variable: other microbatches add to it before our turn
      context->saved_data["main_grad"] = *main_grad;
    }
    return result.output;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grad_outputs) {
    TORCH_CHECK(
        !at::GradMode::is_enabled(),
        "[linear] FP8 casts have no second derivative, got a backward pass with create_graph=True; "
        "leave the layers that need one in high precision");
    const variable_list saved = context->get_saved_variables();
    const bool has_main_grad = context->saved_data.count("main_grad") > 0;
    const bool has_bias = context->saved_data.count("bias_dtype") > 0;
    const LinearNeeds needs = {context->needs_input_grad(0), context->needs_input_grad(1),
                               has_bias && context->needs_input_grad(2)};
    LinearGradients gradients;
    if (grad_outputs[0].defined()) {
      gradients = linear_backward(
          grad_outputs[0], {saved[0], saved[1], saved[2], saved[3]},
          context->saved_data["weight_dtype"].toScalarType(),
          has_bias ? context->saved_data["bias_dtype"].toScalarType() : at::kFloat,
          to_recipe(context->saved_data["recipe"].toIntVector()), needs,
          has_main_grad ? context->saved_data["main_grad"].toTensor() : at::Tensor());
    }
    return {gradients.input, gradients.weight, gradients.bias, Variable(), Variable(), Variable()};
  }
};

// What waits for the weight's gradient would wait in vain.
void check_nobody_waits_for_gradient(const at::Tensor& weight) {
  TORCH_CHECK(weight.is_leaf(),
              "[linear] with main_grad the weight must be a leaf, got the result of an operation; "
              "take main_grad away, so that autograd carries its gradient on");
  const auto accumulator = torch::autograd::impl::try_get_grad_accumulator(weight);
  const bool hooked =
      !torch::autograd::impl::hooks(weight).empty() ||
      torch::autograd::impl::post_acc_grad_hooks(weight) != nullptr ||
      (accumulator && !(accumulator->post_hooks().empty() && accumulator->pre_hooks().empty()));
  TORCH_CHECK(!hooked,
              "[linear] with main_grad autograd gets no gradient of the weight, got a weight whose "
              "gradient hooks wait for one (DDP's or FSDP's, or register_hook's); use one or the "
              "other");
}

at::Tensor linear(const at::Tensor& input, const at::Tensor& weight,
                  const std::optional<at::Tensor>& bias, const LinearRecipe& recipe,
                  const std::optional<at::Tensor>& main_grad) {
  check_linear(input, weight, bias, recipe, main_grad);
  check_no_tangent(input, weight, bias);
  const bool grad_mode = at::GradMode::is_enabled();
  const LinearNeeds needs = {.grad_input = grad_mode && input.requires_grad(),
                             .grad_weight = grad_mode && weight.requires_grad(),
                             .grad_bias = grad_mode && bias.has_value() && bias->requires_grad()};
  if (!needs.grad_input && !needs.grad_weight && !needs.grad_bias) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    return linear_forward(input, weight, bias, recipe, needs).output;
  }
  // A tracer's weights are stand-ins, without hooks.
  if (main_grad && needs.grad_weight && !c10::impl::dispatch_mode_enabled()) {
    check_nobody_waits_for_gradient(weight);
  }
  check_no_functional_gradient();
  return LinearFunction::apply(input, weight, bias, recipe, needs, main_grad);
}

}  // namespace

// By device: the alias key Autograd comes after linear's CompositeImplicitAutograd kernel.
TORCH_LIBRARY_IMPL(float8, AutogradCPU, m) { m.impl("linear", &linear_kernel<&linear>); }
TORCH_LIBRARY_IMPL(float8, AutogradCUDA, m) { m.impl("linear", &linear_kernel<&linear>); }
TORCH_LIBRARY_IMPL(float8, AutogradMeta, m) { m.impl("linear", &linear_kernel<&linear>); }

}  // namespace float8::ops
