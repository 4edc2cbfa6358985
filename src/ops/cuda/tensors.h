#pragma once

#include <ATen/core/Tensor.h>

#include "float8/ops.h"
#include "kernels/quantize/matrix.h"
#include "src/ops/cuda/device.h"

// Tensors as the kernels take them.
namespace float8::cuda {

/// The kernels' element type for a dtype that a check has let through.
inline kernels::Element element_of(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return kernels::Element::kFloat32;
    case at::kBFloat16:
      return kernels::Element::kBFloat16;
    default:
      TORCH_INTERNAL_ASSERT(dtype == at::kHalf);
      return kernels::Element::kFloat16;
  }
}

/// A contiguous tensor [M, K] of high precision.
inline kernels::Matrix matrix_of(const at::Tensor& x) {
  return {x.const_data_ptr(), element_of(x.scalar_type()), x.size(0), x.size(1)};
}

/// A block in the layout of x. That of a transposed copy has a row of the copy, a column of x.
inline kernels::Granularity granularity_of(const Block& block, bool transpose = false) {
  const bool tensor = block == kTensorBlock;
  const bool columns = (block == kColumnBlock) != transpose;
  return tensor    ? kernels::Granularity::kTensor
         : columns ? kernels::Granularity::kColumn
                   : kernels::Granularity::kRow;
}

/// The block of a scale that check_scale has let through: [1, 1], [M, 1] or [1, K].
inline Block block_of(const at::Tensor& scale) {
  return scale.size(0) > 1 ? kRowBlock : scale.size(1) > 1 ? kColumnBlock : kTensorBlock;
}

inline std::uint8_t* bytes_of(const at::Tensor& fp8) {
  return static_cast<std::uint8_t*>(fp8.mutable_data_ptr());
}
inline const std::uint8_t* const_bytes_of(const at::Tensor& fp8) {
  return static_cast<const std::uint8_t*>(fp8.const_data_ptr());
}

/// Whether a tensor is contiguous, at an address that the tensor cores' loads can start from.
inline bool is_aligned(const at::Tensor& tensor) {
  constexpr std::uintptr_t kAlignment = 16;
  return tensor.is_contiguous() &&
         reinterpret_cast<std::uintptr_t>(tensor.const_data_ptr()) % kAlignment == 0;
}

/// The tensor, or a copy that is. A view may begin anywhere in its storage.
inline at::Tensor aligned(const at::Tensor& tensor) {
  return is_aligned(tensor) ? tensor : tensor.clone(at::MemoryFormat::Contiguous);
}

}  // namespace float8::cuda
