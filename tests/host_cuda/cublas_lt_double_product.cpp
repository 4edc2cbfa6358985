#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <vector>

#include "cublas_lt_double_structs.h"
#include "float8/format.h"

namespace float8::host_cuda {
namespace {

float decoded(cudaDataType type, std::uint8_t code) {
  return type == CUDA_R_8F_E4M3 ? decode<Format::kE4M3>(code) : decode<Format::kE5M2>(code);
}

float load(const void* data, std::int64_t i, int type) {
  switch (type) {
    case CUDA_R_16BF:
      return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]);
    case CUDA_R_16F:
      return __half2float(static_cast<const __half*>(data)[i]);
    default:
      return static_cast<const float*>(data)[i];
  }
}

void store(void* data, std::int64_t i, int type, float value) {
  switch (type) {
    case CUDA_R_16BF:
      static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16_rn(value);
      return;
    case CUDA_R_16F:
      static_cast<__half*>(data)[i] = __float2half_rn(value);
      return;
    default:
      static_cast<float*>(data)[i] = value;
  }
}

float scale_of(const void* scale, std::int32_t mode, std::int64_t i) {
  const bool outer = mode == CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
  return scale == nullptr ? 1.0F : static_cast<const float*>(scale)[outer ? i : 0];
}

// A as rows of K float64 values, so that the sums below run along its columns.
std::vector<double> decoded_rows(const Layout& layout, const void* data) {
  std::vector<double> values(layout.rows * layout.columns);
  for (std::uint64_t j = 0; j < layout.columns; ++j) {
    const auto* column =
        static_cast<const std::uint8_t*>(data) + j * static_cast<std::uint64_t>(layout.ld);
    for (std::uint64_t i = 0; i < layout.rows; ++i) {
      values[i * layout.columns + j] = decoded(layout.type, column[i]);
    }
  }
  return values;
}

}  // namespace

void compute(const Problem& problem, float alpha, const void* a, const void* b, float beta,
             const void* c, void* d) {
  const Descriptor& descriptor = problem.descriptor;
  const auto rows = static_cast<std::int64_t>(problem.d.rows);
  const auto columns = static_cast<std::int64_t>(problem.d.columns);
  const auto inner = static_cast<std::int64_t>(problem.a.rows);
  const std::vector<double> left = decoded_rows(problem.a, a);
  std::vector<double> sums(problem.d.rows);
  for (std::int64_t j = 0; j < columns; ++j) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (std::int64_t k = 0; k < inner; ++k) {
      const double right =
          decoded(problem.b.type, static_cast<const std::uint8_t*>(b)[j * problem.b.ld + k]);
      const double* row = left.data() + k * rows;
      for (std::int64_t i = 0; i < rows; ++i) {
        sums[static_cast<std::size_t>(i)] += row[i] * right;
      }
    }
    for (std::int64_t i = 0; i < rows; ++i) {
      const float scale = scale_of(descriptor.scale_a, descriptor.mode_a, i) *
                          scale_of(descriptor.scale_b, descriptor.mode_b, j);
      float value = alpha * static_cast<float>(sums[static_cast<std::size_t>(i)]) * scale;
      if (beta != 0) {
        value += beta * load(c, j * problem.c.ld + i, problem.c.type);
      }
      if (descriptor.epilogue == CUBLASLT_EPILOGUE_BIAS) {
        const int type = descriptor.bias_type == -1 ? problem.d.type : descriptor.bias_type;
        value += load(descriptor.bias, i, type);
      }
      store(d, j * problem.d.ld + i, problem.d.type, value);
    }
  }
}

}  // namespace float8::host_cuda
