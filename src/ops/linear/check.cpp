#include "src/ops/check.h"

#include "src/ops/linear/linear.h"

namespace float8::ops {

std::optional<GemmScaling> scaling_of(const std::vector<std::int64_t>& blocks) {
  if (blocks.empty()) {
    return std::nullopt;
  }
  return GemmScaling{{blocks[0], blocks[1]}, {blocks[2], blocks[3]}};
}

namespace {

std::vector<std::int64_t> check_blocks(const char* name, at::IntArrayRef blocks) {
  TORCH_CHECK(blocks.empty() || blocks.size() == 4, "[linear] ", name,
              " must be empty or [a_rows, a_inner, b_rows, b_inner], got ", blocks);
  if (!blocks.empty()) {
    check_block("linear", blocks.slice(0, 2), kOperandBlocks);
    check_block("linear", blocks.slice(2, 2), kOperandBlocks);
  }
  return blocks.vec();
}

}  // namespace

LinearRecipe recipe_of(at::ScalarType input_dtype, at::ScalarType weight_dtype,
                       at::ScalarType grad_output_dtype, at::IntArrayRef output_blocks,
                       at::IntArrayRef grad_input_blocks, at::IntArrayRef grad_weight_blocks,
                       bool output_fast_accum, bool grad_input_fast_accum,
                       bool grad_weight_fast_accum, bool power_of_two, bool recompute_weight,
                       bool emulate) {
  return {
      .input_dtype = check_format("linear", input_dtype),
      .weight_dtype = check_format("linear", weight_dtype),
      .grad_output_dtype = check_format("linear", grad_output_dtype),
      .output_blocks = check_blocks("output_blocks", output_blocks),
      .grad_input_blocks = check_blocks("grad_input_blocks", grad_input_blocks),
      .grad_weight_blocks = check_blocks("grad_weight_blocks", grad_weight_blocks),
      .output_fast_accum = output_fast_accum,
      .grad_input_fast_accum = grad_input_fast_accum,
      .grad_weight_fast_accum = grad_weight_fast_accum,
      .power_of_two = power_of_two,
      .recompute_weight = recompute_weight,
      .emulate = emulate,
  };
}

void check_linear(const at::Tensor& input, const at::Tensor& weight,
                  const std::optional<at::Tensor>& bias, const LinearRecipe& recipe,
                  const std::optional<at::Tensor>& main_grad) {
  TORCH_CHECK(input.dim() >= 1 && is_high_precision(input.scalar_type()),
              "[linear] input must be float32, bfloat16 or float16 with at least 1 dimension, got ",
              describe(input), "; convert it first");
  TORCH_CHECK(weight.dim() == 2 && is_high_precision(weight.scalar_type()),
              "[linear] weight must be [N, K] of float32, bfloat16 or float16, got ",
              describe(weight));
  TORCH_CHECK(same_size(input.sym_size(-1), weight.sym_size(1)),
              "[linear] input [..., K] and weight [N, K] must have the same K, got input=",
              input.sym_sizes(), ", weight=", weight.sym_sizes());
  TORCH_CHECK(input.device() == weight.device(),
              "[linear] input and weight must be on one device, got ", describe(input), " and ",
              describe(weight));
  if (bias.has_value()) {
    TORCH_CHECK(bias->dim() == 1 && same_size(bias->sym_size(0), weight.sym_size(0)) &&
                    bias->device() == input.device() && bias->is_floating_point(),
                "[linear] bias must be [", weight.sym_size(0), "] on ", input.device(), ", got ",
                describe(*bias));
  }
  if (main_grad.has_value()) {
    TORCH_CHECK(main_grad->scalar_type() == at::kFloat && main_grad->dim() == 2 &&
                    same_size(main_grad->sym_size(0), weight.sym_size(0)) &&
                    same_size(main_grad->sym_size(1), weight.sym_size(1)) &&
                    main_grad->device() == weight.device() && !main_grad->requires_grad(),
                "[linear] main_grad must be ", weight.sym_sizes(), " float32 on ", weight.device(),
                " and need no gradient, got ", describe(*main_grad));
  }
  TORCH_CHECK(recipe.emulate || !input.device().is_cpu(),
              "[linear] FP8 needs a GPU of compute capability 8.9 or later, got an input on ",
              input.device(),
              "; set emulate to run the same casts there (Float8LinearConfig(emulate=True), "
              "or `emulate: true` under fp8 in YAML)");
}

}  // namespace float8::ops
