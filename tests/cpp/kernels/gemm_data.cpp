#include "gemm_data.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <cmath>
#include <cstring>

#include "cublas_lt_double.h"
#include "cuda_runtime_double.h"

namespace float8::kernels::testing {
namespace {

std::size_t size_of(DataType type) {
  switch (type) {
    case DataType::kFloat32:
      return 4;
    case DataType::kBFloat16:
    case DataType::kFloat16:
      return 2;
    default:
      return 1;
  }
}

// CUDA's own conversions, so that the project's are not compared with themselves.
__nv_fp8_interpretation_t interpretation(DataType type) {
  return type == DataType::kE4M3 ? __NV_E4M3 : __NV_E5M2;
}

double load(const std::uint8_t* data, std::int64_t i, DataType type) {
  const auto read = [&](auto value) {
    std::memcpy(&value, data + static_cast<std::size_t>(i) * sizeof(value), sizeof(value));
    return value;
  };
  switch (type) {
    case DataType::kFloat32:
      return read(float{});
    case DataType::kBFloat16:
      return __bfloat162float(read(__nv_bfloat16{}));
    case DataType::kFloat16:
      return __half2float(read(__half{}));
    default:
      return __half2float(__half(__nv_cvt_fp8_to_halfraw(data[i], interpretation(type))));
  }
}

void store(std::uint8_t* data, std::size_t i, DataType type, float value) {
  const auto write = [&](auto stored) {
    std::memcpy(data + i * sizeof(stored), &stored, sizeof(stored));
  };
  switch (type) {
    case DataType::kFloat32:
      return write(value);
    case DataType::kBFloat16:
      return write(__float2bfloat16_rn(value));
    case DataType::kFloat16:
      return write(__float2half_rn(value));
    default:
      return write(__nv_cvt_float_to_fp8(value, __NV_SATFINITE, interpretation(type)));
  }
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : generator_(seed) {}
  float between(float low, float high) {
    return std::uniform_real_distribution<float>(low, high)(generator_);
  }
  void fill(Buffer& buffer, std::size_t count, DataType type, float bound) {
    for (std::size_t i = 0; i < count; ++i) {
      store(buffer.data(), i, type, between(-bound, bound));
    }
  }

 private:
  std::mt19937_64 generator_;
};

std::size_t count(std::int64_t rows, std::int64_t columns) {
  return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
}

std::size_t offset_of(std::uint8_t alignment) {
  return alignment >= 8 ? 0 : std::size_t{1} << alignment;
}

DataType bias_type(const GemmProblem& problem) {
  return problem.d == DataType::kFloat32 ? DataType::kBFloat16 : problem.d;
}

void* workspace() {
  static Buffer buffer(kWorkspaceBytes);
  return buffer.data();
}

}  // namespace

Buffer::Buffer(std::size_t bytes, std::size_t offset) {
  constexpr std::size_t kPage = 4096;
  storage_.resize(bytes + offset + kPage);
  const auto address = reinterpret_cast<std::uintptr_t>(storage_.data());
  data_ = storage_.data() + (kPage - address % kPage) % kPage + offset;
}

GemmData::GemmData(const GemmProblem& of, std::uint64_t seed)
    : problem(of),
      a_(count(of.m, of.k), offset_of(of.alignment_a)),
      b_(count(of.n, of.k), offset_of(of.alignment_b)),
      d_(count(of.m, of.n) * size_of(of.d), offset_of(of.alignment_d)),
      bias_(count(of.n, 1) * size_of(bias_type(of)), offset_of(of.alignment_bias)) {
  Random random(seed);
  random.fill(a_, count(of.m, of.k), of.a, 4);
  random.fill(b_, count(of.n, of.k), of.b, 4);
  random.fill(d_, count(of.m, of.n), of.d, 8);
  random.fill(bias_, count(of.n, 1), bias_type(of), 8);
  d_before_.assign(d_.data(), d_.data() + count(of.m, of.n) * size_of(of.d));
  const bool outer = of.scales == ScaleMode::kOuter;
  for (std::int64_t i = 0; i < (outer ? of.m : 1); ++i) {
    scale_inv_a_.push_back(random.between(0.1F, 0.3F));
  }
  for (std::int64_t i = 0; i < (outer ? of.n : 1); ++i) {
    scale_inv_b_.push_back(random.between(0.5F, 2.0F));
  }
}

GemmArguments GemmData::arguments() {
  return {.a = a_.data(),
          .b = b_.data(),
          .d = d_.data(),
          .scale_inv_a = scale_inv_a_.data(),
          .scale_inv_b = scale_inv_b_.data(),
          .bias = problem.bias ? bias_.data() : nullptr,
          .workspace = workspace()};
}

void GemmData::reset_d() { std::memcpy(d_.data(), d_before_.data(), d_before_.size()); }

bool GemmData::d_is_unchanged() const {
  return std::memcmp(d_.data(), d_before_.data(), d_before_.size()) == 0;
}

double GemmData::expected(std::int64_t row, std::int64_t column, double* magnitude) const {
  double sum = 0;
  for (std::int64_t i = 0; i < problem.k; ++i) {
    sum += load(a_.data(), row * problem.k + i, problem.a) *
           load(b_.data(), column * problem.k + i, problem.b);
  }
  const bool outer = problem.scales == ScaleMode::kOuter;
  const double scale = double{scale_inv_a_[outer ? static_cast<std::size_t>(row) : 0]} *
                       double{scale_inv_b_[outer ? static_cast<std::size_t>(column) : 0]};
  const double bias = problem.bias ? load(bias_.data(), column, bias_type(problem)) : 0;
  const double before =
      problem.accumulate ? load(d_before_.data(), row * problem.n + column, problem.d) : 0;
  *magnitude = std::abs(sum * scale) + std::abs(bias) + std::abs(before);
  return sum * scale + bias + before;
}

double GemmData::worst_error() const {
  // Half a unit in the last place of D, and a few roundings in float32 of the terms.
  const double half_unit = problem.d == DataType::kFloat32   ? 0x1p-24
                           : problem.d == DataType::kFloat16 ? 0x1p-11
                                                             : 0x1p-8;
  double worst = 0;
  for (std::int64_t row = 0; row < problem.m; ++row) {
    for (std::int64_t column = 0; column < problem.n; ++column) {
      double magnitude = 0;
      const double right = expected(row, column, &magnitude);
      const double allowed = half_unit * std::abs(right) + 0x1p-21 * magnitude;
      const double error = std::abs(load(d_.data(), row * problem.n + column, problem.d) - right);
      worst = std::max(worst, std::isfinite(error) ? error / allowed : HUGE_VAL);
    }
  }
  return worst;
}

GemmProblem small_problem() {
  return {.m = 5,
          .n = 24,
          .k = 32,
          .a = DataType::kE4M3,
          .b = DataType::kE4M3,
          .d = DataType::kBFloat16,
          .workspace_bytes = kWorkspaceBytes};
}

void reset_doubles() {
  host_cuda::reset_cublas_lt();
  host_cuda::reset_runtime();
}

}  // namespace float8::kernels::testing
