#include "kernels/quantize/quantize.h"

#include "src/ops/check.h"
#include "src/ops/cuda/operators.h"
#include "src/ops/cuda/scratch.h"
#include "src/ops/cuda/tensors.h"

namespace float8::cuda {
namespace {

// An FP8 copy's tensors, allocated, and where the kernels write.
struct Copy {
  Copy(const Device& device, const at::Tensor& x, at::ScalarType dtype, const Block& block,
       bool transpose) {
    const std::int64_t rows = x.size(transpose ? 1 : 0);
    const std::int64_t columns = x.size(transpose ? 0 : 1);
    data = device.empty({rows, ops::padded(columns)}, dtype);
    scale_inv = device.empty({block == kTensorBlock ? 1 : rows, 1}, at::kFloat);
    auto* scales = scale_inv.mutable_data_ptr<float>();
    // A copy without a byte has no address, and still has scales: any address stands for it.
    auto* bytes = data.numel() > 0 ? bytes_of(data) : reinterpret_cast<std::uint8_t*>(scales);
    target = {bytes, scales, granularity_of(block, transpose)};
  }
  at::Tensor data;
  at::Tensor scale_inv;
  kernels::QuantizedCopy target;
};

const void* pointer_to(const std::optional<at::Tensor>& amax) {
  return amax ? amax->const_data_ptr() : nullptr;
}

void run(const char* op, const Device& device, const kernels::Quantization& quantization) {
  void* memory = scratch(device, kernels::quantize_scratch_bytes(quantization));
  check_launch(op, kernels::launch_quantize(quantization, memory, device.stream()));
}

}  // namespace

std::tuple<at::Tensor, at::Tensor> quantize(const at::Tensor& x_any, at::ScalarType dtype,
                                            at::IntArrayRef block_any, bool power_of_two,
                                            bool transpose,
                                            const std::optional<at::Tensor>& /*after*/,
                                            const std::optional<at::Tensor>& amax) {
  ops::check_high_precision("quantize", x_any);
  const Format format = ops::check_format("quantize", dtype);
  const Block block = ops::check_block("quantize", block_any, ops::kOperandBlocks);
  ops::check_known_amax("quantize", amax, x_any, block);
  const Device device(x_any);
  const at::Tensor x = x_any.contiguous();
  const Copy copy(device, x, dtype, block, transpose);
  run("quantize", device,
      {matrix_of(x), format, power_of_two, transpose ? kernels::QuantizedCopy{} : copy.target,
       transpose ? copy.target : kernels::QuantizedCopy{}, pointer_to(amax)});
  return {copy.data, copy.scale_inv};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> quantize_pair(
    const at::Tensor& x_any, at::ScalarType dtype, at::IntArrayRef block_any,
    at::IntArrayRef block_t_any, bool power_of_two, const std::optional<at::Tensor>& amax) {
  ops::check_high_precision("quantize_pair", x_any);
  const Format format = ops::check_format("quantize_pair", dtype);
  const Block block = ops::check_block("quantize_pair", block_any, ops::kOperandBlocks);
  const Block block_t = ops::check_block("quantize_pair", block_t_any, ops::kOperandBlocks);
  ops::check_known_amax("quantize_pair", amax, x_any, {block, block_t});
  const Device device(x_any);
  const at::Tensor x = x_any.contiguous();
  const Copy straight(device, x, dtype, block, /*transpose=*/false);
  const Copy transposed(device, x, dtype, block_t, /*transpose=*/true);
  run("quantize_pair", device,
      {matrix_of(x), format, power_of_two, straight.target, transposed.target, pointer_to(amax)});
  return {straight.data, straight.scale_inv, transposed.data, transposed.scale_inv};
}

}  // namespace float8::cuda
