#include "kernels/quantize/amax.h"

#include "src/ops/check.h"
#include "src/ops/cuda/operators.h"
#include "src/ops/cuda/scratch.h"
#include "src/ops/cuda/tensors.h"

namespace float8::cuda {

at::Tensor amax(const at::Tensor& x_any, at::IntArrayRef block_any) {
  ops::check_high_precision("amax", x_any);
  const Block block = ops::check_block("amax", block_any, ops::kAmaxBlocks);
  const Device device(x_any);
  const at::Tensor x = x_any.contiguous();
  const at::Tensor result =
      device.empty({block[0] == 1 ? x.size(0) : 1, block[1] == 1 ? x.size(1) : 1}, x.scalar_type());
  const kernels::Matrix matrix = matrix_of(x);
  const kernels::Granularity granularity = granularity_of(block);
  void* memory = scratch(device, kernels::amax_scratch_bytes(matrix, granularity));
  check_launch("amax", kernels::launch_amax(matrix, granularity, result.mutable_data_ptr(), memory,
                                            device.stream()));
  return result;
}

}  // namespace float8::cuda
