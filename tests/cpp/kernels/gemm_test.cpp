// Products of run_gemm's planner against float64, on the double of cuBLASLt.

#include <gtest/gtest.h>

#include "cublas_lt_double.h"
#include "gemm_data.h"

namespace float8::kernels::testing {
namespace {

class Gemm : public ::testing::Test {
 protected:
  void SetUp() override { reset_doubles(); }

  // "" and a right D, or what went wrong.
  std::string run(const GemmProblem& problem, std::uint64_t seed = 1) {
    GemmData data(problem, seed);
    std::string error = planner_.run(host_cuda::cublas_lt_handle(), problem, data.arguments());
    if (error.empty() && data.worst_error() > 1) {
      return "wrong by " + std::to_string(data.worst_error()) + " of what rounding may change";
    }
    return error;
  }

  GemmPlanner planner_{GemmTuning{}};
};

TEST_F(Gemm, EachCombinationThatHopperRunsIsRight) {
  constexpr std::pair<DataType, DataType> kOperands[] = {{DataType::kE4M3, DataType::kE4M3},
                                                         {DataType::kE4M3, DataType::kE5M2},
                                                         {DataType::kE5M2, DataType::kE4M3}};
  std::uint64_t seed = 0;
  for (const auto& [a, b] : kOperands) {
    for (const DataType d : {DataType::kBFloat16, DataType::kFloat16, DataType::kFloat32}) {
      for (const ScaleMode scales : {ScaleMode::kTensor, ScaleMode::kOuter}) {
        for (int flags = 0; flags < 8; ++flags) {
          GemmProblem problem = small_problem();
          problem.a = a;
          problem.b = b;
          problem.d = d;
          problem.scales = scales;
          problem.bias = (flags & 1) != 0;
          problem.accumulate = (flags & 2) != 0;
          problem.fast_accumulation = (flags & 4) != 0;
          EXPECT_EQ(run(problem, ++seed), "") << describe(problem);
        }
      }
    }
  }
}

TEST_F(Gemm, AnyNumberOfRowsIsRight) {
  for (const std::int64_t m : {1, 2, 7, 16, 33}) {
    for (const std::int64_t n : {8, 16, 40}) {
      for (const std::int64_t k : {16, 48, 144}) {
        GemmProblem problem = small_problem();
        problem.m = m;
        problem.n = n;
        problem.k = k;
        problem.scales = ScaleMode::kOuter;
        EXPECT_EQ(run(problem), "") << describe(problem);
      }
    }
  }
}

TEST_F(Gemm, PointersMayBeAlignedToSixteenBytes) {
  for (int which = 0; which < 4; ++which) {
    GemmProblem problem = small_problem();
    problem.bias = true;
    (which == 0   ? problem.alignment_a
     : which == 1 ? problem.alignment_b
     : which == 2 ? problem.alignment_d
                  : problem.alignment_bias) = which == 3 ? 1 : 4;
    EXPECT_EQ(run(problem), "") << which;
  }
}

TEST_F(Gemm, TheScalesOfEachCallAreItsOwn) {
  const GemmProblem problem = small_problem();
  for (std::uint64_t seed = 1; seed < 5; ++seed) {
    EXPECT_EQ(run(problem, seed), "") << seed;
  }
  EXPECT_EQ(host_cuda::cublas_lt().heuristics, 1);
}

TEST_F(Gemm, AlgorithmsThatNeedLessWorkspaceAreUsedWhereThereIsLess) {
  GemmProblem problem = small_problem();
  problem.workspace_bytes = 0;
  GemmData data(problem);
  GemmArguments arguments = data.arguments();
  arguments.workspace = nullptr;
  EXPECT_EQ(planner_.run(host_cuda::cublas_lt_handle(), problem, arguments), "");
  EXPECT_LE(data.worst_error(), 1);
}

}  // namespace
}  // namespace float8::kernels::testing
