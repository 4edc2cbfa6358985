// The rules of `unsupported`, one by one, and against the double's own.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "cublas_lt_double.h"
#include "gemm_data.h"

namespace float8::kernels::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

void expect_broken(const GemmProblem& problem, GemmRule rule, const char* part) {
  EXPECT_EQ(broken_rule(problem), rule);
  EXPECT_THAT(unsupported(problem), StartsWith("[scaled_mm] "));
  EXPECT_THAT(unsupported(problem), HasSubstr(part));
}

GemmProblem changed(const std::function<void(GemmProblem&)>& change) {
  GemmProblem problem = small_problem();
  change(problem);
  return problem;
}

TEST(GemmProblem, TheSmallOneIsSupported) {
  EXPECT_EQ(broken_rule(small_problem()), GemmRule::kNone);
  EXPECT_EQ(unsupported(small_problem()), "");
}

TEST(GemmProblem, DevicesBelow89AreRefused) {
  expect_broken(changed([](auto& p) { p.compute_capability = 80; }), GemmRule::kDevice,
                "8.9 or higher, got device 0 (8.0); ");
}

TEST(GemmProblem, OuterScalesAreHoppers) {
  for (const int capability : {89, 100, 103, 120}) {
    auto problem = changed([](auto& p) { p.scales = ScaleMode::kOuter; });
    EXPECT_EQ(unsupported(problem), "");
    problem.compute_capability = capability;
    expect_broken(problem, GemmRule::kScales, "9.0");
    problem.scales = ScaleMode::kTensor;
    EXPECT_EQ(unsupported(problem), "");
  }
}

TEST(GemmProblem, TwoE5M2AreRefused) {
  expect_broken(changed([](auto& p) { p.a = p.b = DataType::kE5M2; }), GemmRule::kTypes,
                "got A=[5, 32] e5m2, B=[24, 32] e5m2, D=bfloat16; cast one of them to e4m3");
}

TEST(GemmProblem, OperandsAreFp8AndTheResultIsNot) {
  expect_broken(changed([](auto& p) { p.a = DataType::kBFloat16; }), GemmRule::kTypes, "bfloat16");
  expect_broken(changed([](auto& p) { p.b = DataType::kFloat32; }), GemmRule::kTypes, "float32");
  expect_broken(changed([](auto& p) { p.d = DataType::kE4M3; }), GemmRule::kTypes, "D=e4m3");
}

TEST(GemmProblem, EmptyAndHugeSizesAreRefused) {
  for (const std::int64_t size : {std::int64_t{0}, std::int64_t{-16}, std::int64_t{1} << 31}) {
    expect_broken(changed([=](auto& p) { p.m = size; }), GemmRule::kSizes, "from 1 to 2147483647");
    expect_broken(changed([=](auto& p) { p.n = size; }), GemmRule::kSizes, "from 1 to 2147483647");
    expect_broken(changed([=](auto& p) { p.k = size; }), GemmRule::kSizes, "from 1 to 2147483647");
  }
}

TEST(GemmProblem, UnalignedKSaysWhatToPadTo) {
  expect_broken(changed([](auto& p) { p.k = 40; }), GemmRule::kInner,
                "K must be a multiple of 16, got A=[5, 40] e4m3, B=[24, 40] e4m3; pad K to 48");
}

TEST(GemmProblem, RowsOfTheResultAreSixteenBytes) {
  auto problem = changed([](auto& p) { p.n = 12; });
  expect_broken(problem, GemmRule::kColumns, "N must be a multiple of 8 for a bfloat16 result");
  expect_broken(problem, GemmRule::kColumns, "pad N to 16");
  problem.d = DataType::kFloat32;
  EXPECT_EQ(unsupported(problem), "");
  problem.n = 10;
  expect_broken(problem, GemmRule::kColumns, "multiple of 4 for a float32 result");
}

TEST(GemmProblem, MisalignedPointersAreNamed) {
  expect_broken(changed([](auto& p) { p.alignment_a = 3; }), GemmRule::kAlignment,
                "A must be 16-byte aligned, got a pointer aligned to 8");
  expect_broken(changed([](auto& p) { p.alignment_b = 0; }), GemmRule::kAlignment,
                "B must be 16-byte aligned, got a pointer aligned to 1");
  expect_broken(changed([](auto& p) { p.alignment_d = 1; }), GemmRule::kAlignment,
                "the result must be 16-byte aligned, got a pointer aligned to 2");
  auto problem = changed([](auto& p) { p.alignment_bias = 0; });
  EXPECT_EQ(unsupported(problem), "");
  problem.bias = true;
  expect_broken(problem, GemmRule::kAlignment, "bias must be 2-byte aligned");
}

TEST(GemmProblem, AlignmentEndsAt256) {
  EXPECT_EQ(alignment_of(reinterpret_cast<const void*>(0x1000)), 8);
  EXPECT_EQ(alignment_of(reinterpret_cast<const void*>(0x1010)), 4);
  EXPECT_EQ(alignment_of(reinterpret_cast<const void*>(0x1001)), 0);
  EXPECT_EQ(alignment_of(nullptr), 8);
}

TEST(GemmProblem, DescribeNamesWhatIsUnusual) {
  const auto problem = changed([](auto& p) {
    p.scales = ScaleMode::kOuter;
    p.bias = p.accumulate = p.fast_accumulation = true;
  });
  EXPECT_EQ(describe(problem),
            "A=[5, 32] e4m3, B=[24, 32] e4m3, D=bfloat16, a scale for each row, bias, added to D, "
            "fast accumulation, device 0 (9.0)");
}

// A problem near those that run, so that about half of them do.
GemmProblem random_problem(std::mt19937& random) {
  const auto pick = [&random](auto... values) {
    const std::common_type_t<decltype(values)...> all[] = {values...};
    return all[random() % sizeof...(values)];
  };
  const auto rarely = [&random] { return random() % 12 == 0; };
  using T = DataType;
  GemmProblem problem = small_problem();
  problem.m = rarely() ? pick(0L, -1L, 1L << 31, 1L << 40) : pick(1L, 7L, 16L, (1L << 31) - 1);
  problem.n = rarely() ? pick(0L, -8L, 1L << 31, 4L, 12L, 15L, 2L) : pick(8L, 16L, 4096L);
  problem.k = rarely() ? pick(0L, -16L, 1L << 31, 8L, 24L, 33L) : pick(16L, 48L, 8192L);
  problem.a = rarely() ? pick(T::kBFloat16, T::kFloat32) : pick(T::kE4M3, T::kE4M3, T::kE5M2);
  problem.b = rarely() ? pick(T::kFloat16, T::kFloat32) : pick(T::kE4M3, T::kE4M3, T::kE5M2);
  problem.d = rarely() ? pick(T::kE4M3, T::kE5M2) : pick(T::kBFloat16, T::kFloat16, T::kFloat32);
  problem.scales = pick(ScaleMode::kTensor, ScaleMode::kTensor, ScaleMode::kOuter);
  problem.bias = pick(true, false);
  problem.accumulate = pick(true, false);
  problem.fast_accumulation = pick(true, false);
  const auto alignment = [&] {
    return static_cast<std::uint8_t>(rarely() ? pick(0, 3) : pick(4, 8));
  };
  problem.alignment_a = alignment();
  problem.alignment_b = alignment();
  problem.alignment_d = alignment();
  problem.alignment_bias = static_cast<std::uint8_t>(rarely() ? 0 : pick(1, 4, 8));
  problem.compute_capability = pick(80, 89, 90, 90, 90, 90, 100, 120);
  return problem;
}

TEST(GemmProblem, TheRulesAreThoseOfTheHeuristic) {
  reset_doubles();
  std::mt19937 random(7);  // NOLINT: the same problems each time
  const Buffer page(4096);
  int supported = 0;
  constexpr int kProblems = 20000;
  for (int i = 0; i < kProblems; ++i) {
    const GemmProblem problem = random_problem(random);
    host_cuda::cublas_lt().compute_capability = problem.compute_capability;
    // Of the bias, only the pointer's alignment counts.
    const std::uint8_t* bias = page.data() + (std::size_t{1} << problem.alignment_bias);
    const float scale = 1;
    GemmPlan plan;
    std::vector<cublasLtMatmulAlgo_t> algorithms;
    const bool described = !describe_problem(problem, plan);
    const bool found = described && !find_algorithms(host_cuda::cublas_lt_handle(), plan,
                                                     {.a = nullptr,
                                                      .b = nullptr,
                                                      .d = nullptr,
                                                      .scale_inv_a = &scale,
                                                      .scale_inv_b = &scale,
                                                      .bias = bias},
                                                     1, algorithms);
    ASSERT_EQ(found, unsupported(problem).empty()) << unsupported(problem) << describe(problem);
    supported += found ? 1 : 0;
  }
  EXPECT_GT(supported, kProblems / 10);
  EXPECT_LT(supported, kProblems * 9 / 10);
}

}  // namespace
}  // namespace float8::kernels::testing
