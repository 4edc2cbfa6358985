#include "kernels/gemm/problem.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace float8::kernels {
namespace {

constexpr std::int64_t kMaxSize = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kRowBytes = 16;  // what rows of A, B and D are a multiple of
constexpr int kRowAlignment = 4;        // log2 of 16
constexpr int kFirstWithFp8 = 89;
constexpr int kHopper = 90;

bool is_fp8(DataType type) { return type == DataType::kE4M3 || type == DataType::kE5M2; }

std::int64_t columns_multiple(const GemmProblem& problem) {
  return kRowBytes / (problem.d == DataType::kFloat32 ? 4 : 2);
}

bool size_fits(std::int64_t size) { return size >= 1 && size <= kMaxSize; }

std::string rounded_up(std::int64_t size, std::int64_t multiple) {
  return std::to_string((size + multiple - 1) / multiple * multiple);
}

std::string alignment_error(const GemmProblem& problem) {
  const auto text = [](const char* name, int required, int alignment) {
    return std::string(name) + " must be " + std::to_string(1 << required) +
           "-byte aligned, got a pointer aligned to " + std::to_string(1 << alignment);
  };
  if (problem.alignment_a < kRowAlignment) {
    return text("A", kRowAlignment, problem.alignment_a);
  }
  if (problem.alignment_b < kRowAlignment) {
    return text("B", kRowAlignment, problem.alignment_b);
  }
  if (problem.alignment_d < kRowAlignment) {
    return text("the result", kRowAlignment, problem.alignment_d);
  }
  return text("bias", 1, problem.alignment_bias);
}

std::string shapes(const GemmProblem& problem) {
  const auto operand = [k = problem.k](const char* name, std::int64_t rows, DataType type) {
    return std::string(name) + "=[" + std::to_string(rows) + ", " + std::to_string(k) + "] " +
           name_of(type);
  };
  return operand("A", problem.m, problem.a) + ", " + operand("B", problem.n, problem.b);
}

std::string device_of(const GemmProblem& problem) {
  return "device " + std::to_string(problem.device) + " (" +
         std::to_string(problem.compute_capability / 10) + "." +
         std::to_string(problem.compute_capability % 10) + ")";
}

}  // namespace

const char* name_of(DataType type) {
  switch (type) {
    case DataType::kE4M3:
      return "e4m3";
    case DataType::kE5M2:
      return "e5m2";
    case DataType::kBFloat16:
      return "bfloat16";
    case DataType::kFloat16:
      return "float16";
    case DataType::kFloat32:
      return "float32";
  }
  return "unknown";
}

GemmRule broken_rule(const GemmProblem& problem) {
  if (problem.compute_capability < kFirstWithFp8) {
    return GemmRule::kDevice;
  }
  if (problem.scales == ScaleMode::kOuter && problem.compute_capability != kHopper) {
    return GemmRule::kScales;
  }
  const bool both_e5m2 = problem.a == DataType::kE5M2 && problem.b == DataType::kE5M2;
  if (!is_fp8(problem.a) || !is_fp8(problem.b) || both_e5m2 || is_fp8(problem.d)) {
    return GemmRule::kTypes;
  }
  if (!size_fits(problem.m) || !size_fits(problem.n) || !size_fits(problem.k)) {
    return GemmRule::kSizes;
  }
  if (problem.k % kRowBytes != 0) {
    return GemmRule::kInner;
  }
  if (problem.n % columns_multiple(problem) != 0) {
    return GemmRule::kColumns;
  }
  if (std::min({problem.alignment_a, problem.alignment_b, problem.alignment_d}) < kRowAlignment ||
      (problem.bias && problem.alignment_bias < 1)) {
    return GemmRule::kAlignment;
  }
  return GemmRule::kNone;
}

std::string unsupported(const GemmProblem& problem) {
  const std::string prefix = "[scaled_mm] ";
  switch (broken_rule(problem)) {
    case GemmRule::kNone:
      return {};
    case GemmRule::kDevice:
      return prefix + "FP8 products need a GPU of compute capability 8.9 or higher, got " +
             device_of(problem) + "; set emulate there";
    case GemmRule::kScales:
      return prefix +
             "a scale for each row needs a GPU of compute capability 9.0 in cuBLASLt, got " +
             device_of(problem) + "; use one scale for each operand, or scale the product";
    case GemmRule::kTypes:
      return prefix +
             "A and B must be e4m3 and e4m3, e4m3 and e5m2, or e5m2 and e4m3, and the result "
             "bfloat16, float16 or float32, got " +
             shapes(problem) + ", D=" + name_of(problem.d) + "; cast one of them to e4m3";
    case GemmRule::kSizes:
      return prefix + "M, N and K must be from 1 to " + std::to_string(kMaxSize) + ", got " +
             shapes(problem) + "; split the product, or leave out an empty one";
    case GemmRule::kInner:
      return prefix + "K must be a multiple of " + std::to_string(kRowBytes) + ", got " +
             shapes(problem) + "; pad K to " + rounded_up(problem.k, kRowBytes);
    case GemmRule::kColumns:
      return prefix + "N must be a multiple of " + std::to_string(columns_multiple(problem)) +
             " for a " + name_of(problem.d) + " result, got " + shapes(problem) + "; pad N to " +
             rounded_up(problem.n, columns_multiple(problem));
    case GemmRule::kAlignment:
      return prefix + alignment_error(problem) + " in " + shapes(problem) +
             "; pass a tensor that starts an allocation";
  }
  return prefix + "unknown rule";
}

std::string describe(const GemmProblem& problem) {
  std::string text = shapes(problem) + ", D=" + name_of(problem.d);
  text += problem.scales == ScaleMode::kOuter ? ", a scale for each row" : ", one scale each";
  text += problem.bias ? ", bias" : "";
  text += problem.accumulate ? ", added to D" : "";
  text += problem.fast_accumulation ? ", fast accumulation" : "";
  return text + ", " + device_of(problem);
}

std::uint8_t alignment_of(const void* pointer) {
  constexpr int kMost = 8;
  return static_cast<std::uint8_t>(
      std::min(std::countr_zero(reinterpret_cast<std::uintptr_t>(pointer)), kMost));
}

}  // namespace float8::kernels
