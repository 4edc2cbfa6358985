#include <limits>

#include "cublas_lt_double.h"
#include "cublas_lt_double_structs.h"

namespace float8::host_cuda {
namespace {

constexpr std::uint64_t kRowBytes = 16;

bool is_fp8(cudaDataType type) { return type == CUDA_R_8F_E4M3 || type == CUDA_R_8F_E5M2; }

std::uint64_t size_of(cudaDataType type) { return is_fp8(type) ? 1 : type == CUDA_R_32F ? 4 : 2; }

bool size_fits(std::uint64_t size) {
  return size >= 1 && size <= std::uint64_t{std::numeric_limits<std::int32_t>::max()};
}

bool layout_fits(const Layout& layout, std::uint64_t rows, std::uint64_t columns) {
  return layout.magic == kMagic && layout.rows == rows && layout.columns == columns &&
         size_fits(rows) && size_fits(columns) && layout.ld >= 0 &&
         static_cast<std::uint64_t>(layout.ld) >= rows &&
         static_cast<std::uint64_t>(layout.ld) * size_of(layout.type) % kRowBytes == 0;
}

bool scales_fit(const Descriptor& descriptor) {
  if (descriptor.mode_a == CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F &&
      descriptor.mode_b == CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F) {
    return true;
  }
  return descriptor.mode_a == CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F &&
         descriptor.mode_b == CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F &&
         descriptor.scale_a != nullptr && descriptor.scale_b != nullptr &&
         cublas_lt().compute_capability == 90;
}

bool bias_fits(const Descriptor& descriptor, cudaDataType d) {
  if (descriptor.epilogue == CUBLASLT_EPILOGUE_DEFAULT) {
    return true;
  }
  const int type = descriptor.bias_type == -1 ? d : descriptor.bias_type;
  return descriptor.epilogue == CUBLASLT_EPILOGUE_BIAS && descriptor.bias != nullptr &&
         reinterpret_cast<std::uintptr_t>(descriptor.bias) % 2 == 0 &&
         type == (d == CUDA_R_16F ? CUDA_R_16F : CUDA_R_16BF);
}

}  // namespace

bool supported(const Problem& problem) {
  const auto& [descriptor, a, b, c, d] = problem;
  const bool d_type = d.type == CUDA_R_16BF || d.type == CUDA_R_16F || d.type == CUDA_R_32F;
  return cublas_lt().compute_capability >= 89 && descriptor.magic == kMagic &&
         descriptor.compute_type == CUBLAS_COMPUTE_32F && descriptor.scale_type == CUDA_R_32F &&
         descriptor.transpose_a == CUBLAS_OP_T && descriptor.transpose_b == CUBLAS_OP_N &&
         is_fp8(a.type) && is_fp8(b.type) &&
         (a.type == CUDA_R_8F_E4M3 || b.type == CUDA_R_8F_E4M3) && d_type && c.type == d.type &&
         a.rows % kRowBytes == 0 && layout_fits(a, a.rows, a.columns) &&
         layout_fits(b, a.rows, b.columns) && layout_fits(d, a.columns, b.columns) &&
         layout_fits(c, a.columns, b.columns) && scales_fit(descriptor) &&
         bias_fits(descriptor, d.type);
}

std::uint64_t fingerprint(const Problem& problem) {
  std::uint64_t value = 0;
  const auto add = [&value](auto word) {
    value = (value ^ static_cast<std::uint64_t>(word)) * 0x9E3779B97F4A7C15U;
    value ^= value >> 29;
  };
  for (const Layout& layout : {problem.a, problem.b, problem.c, problem.d}) {
    add(layout.type);
    add(layout.rows);
    add(layout.columns);
    add(layout.ld);
  }
  const Descriptor& descriptor = problem.descriptor;
  add(descriptor.mode_a);
  add(descriptor.mode_b);
  add(descriptor.epilogue);
  add(descriptor.bias_type);
  add(descriptor.fast);
  return value;
}

}  // namespace float8::host_cuda
