// Plans: what a call with a known problem costs, what is refused and how it is said.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "count_new.h"
#include "cublas_lt_double.h"
#include "gemm_data.h"

namespace float8::kernels::testing {
namespace {

using host_cuda::cublas_lt;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const void* shifted(const void* pointer) { return static_cast<const char*>(pointer) + 16; }
void* shifted(void* pointer) { return static_cast<char*>(pointer) + 16; }

class GemmPlans : public ::testing::Test {
 protected:
  void SetUp() override { reset_doubles(); }

  std::string run(GemmData& data) { return run(data, data.arguments()); }
  std::string run(const GemmData& data, const GemmArguments& arguments) {
    return planner_.run(host_cuda::cublas_lt_handle(), data.problem, arguments);
  }

  static GemmProblem with_bias() {
    GemmProblem problem = small_problem();
    problem.bias = true;
    return problem;
  }
  static GemmProblem outer() {
    GemmProblem problem = small_problem();
    problem.scales = ScaleMode::kOuter;
    return problem;
  }

  GemmPlanner planner_{GemmTuning{}};
  GemmData data_{with_bias()};
};

TEST_F(GemmPlans, AKnownProblemAllocatesNothingAndAsksNothing) {
  ASSERT_EQ(run(data_), "");
  cublas_lt().computes = false;  // for then the double allocates nothing either
  const GemmArguments arguments = data_.arguments();
  const int heuristics = cublas_lt().heuristics;
  const int descriptors = cublas_lt().descriptors;
  const int attributes = cublas_lt().attributes;
  const std::int64_t allocations = float8::testing::allocations();
  const std::string error = run(data_, arguments);
  EXPECT_EQ(float8::testing::allocations(), allocations);
  EXPECT_EQ(error, "");
  EXPECT_EQ(cublas_lt().heuristics, heuristics);
  EXPECT_EQ(cublas_lt().descriptors, descriptors);
  EXPECT_EQ(cublas_lt().attributes, attributes + 3);  // two scales and the bias
  EXPECT_EQ(cublas_lt().matmuls, 2);
}

TEST_F(GemmPlans, EachFieldOfAProblemMakesAPlan) {
  std::vector<GemmProblem> problems(15, small_problem());
  problems[1].m = 6;
  problems[2].n = 32;
  problems[3].k = 48;
  problems[4].a = DataType::kE5M2;
  problems[5].b = DataType::kE5M2;
  problems[6].d = DataType::kFloat16;
  problems[7].scales = ScaleMode::kOuter;
  problems[8].bias = true;
  problems[9].accumulate = true;
  problems[10].fast_accumulation = true;
  problems[11].alignment_a = 4;
  problems[12].alignment_b = 4;
  problems[13].alignment_d = 4;
  problems[14].workspace_bytes = 0;
  for (int round = 0; round < 2; ++round) {
    for (const GemmProblem& problem : problems) {
      GemmData data(problem);
      EXPECT_EQ(run(data), "") << describe(problem);
      EXPECT_LE(data.worst_error(), 1) << describe(problem);
    }
  }
  EXPECT_EQ(cublas_lt().heuristics, 15);
}

TEST_F(GemmPlans, ThereIsRoomForMany) {
  constexpr int kProblems = 1000;
  cublas_lt().computes = false;
  for (int round = 0; round < 2; ++round) {
    for (int i = 1; i <= kProblems; ++i) {
      GemmProblem problem = small_problem();
      problem.workspace_bytes -= static_cast<std::size_t>(i);
      GemmData data(problem);
      ASSERT_EQ(run(data), "");
      ASSERT_EQ(cublas_lt().heuristics, round == 0 ? i : kProblems);
    }
  }
}

TEST_F(GemmPlans, FastAccumulationIsTheProblems) {
  for (const bool fast : {true, false}) {
    GemmProblem problem = small_problem();
    problem.fast_accumulation = fast;
    GemmData data(problem);
    EXPECT_EQ(run(data), "");
    EXPECT_EQ(cublas_lt().last_fast_accumulation, fast);
  }
}

TEST_F(GemmPlans, DevicesHavePlansOfTheirOwn) {
  GemmProblem problem = small_problem();
  GemmData first(problem);
  problem.device = 1;
  GemmData second(problem);
  EXPECT_EQ(run(first), "");
  EXPECT_EQ(run(second), "");
  EXPECT_EQ(cublas_lt().heuristics, 2);
}

TEST_F(GemmPlans, UnsupportedProblemsReachNoCublasLt) {
  GemmProblem problem = small_problem();
  problem.k = 40;
  GemmData data(problem);
  EXPECT_EQ(run(data), unsupported(problem));
  EXPECT_EQ(cublas_lt().descriptors, 0);
  EXPECT_TRUE(planner_.refuses(problem));
}

TEST_F(GemmPlans, PointersThatDoNotFitTheProblemAreRefused) {
  for (const bool known : {false, true}) {
    if (known) {
      ASSERT_EQ(run(data_), "");
      data_.reset_d();
    }
    const int matmuls = cublas_lt().matmuls;
    const auto expect_refused = [&](const std::function<void(GemmArguments&)>& change,
                                    const char* part) {
      GemmArguments arguments = data_.arguments();
      change(arguments);
      EXPECT_THAT(run(data_, arguments), AllOf(StartsWith("[scaled_mm] "), HasSubstr(part)));
    };
    expect_refused([&](auto& a) { a.a = shifted(a.a); }, "aligned as the problem says");
    expect_refused([&](auto& a) { a.b = shifted(a.b); }, "aligned as the problem says");
    expect_refused([&](auto& a) { a.d = shifted(a.d); }, "aligned as the problem says");
    expect_refused([&](auto& a) { a.bias = shifted(a.bias); }, "aligned as the problem says");
    expect_refused([&](auto& a) { a.workspace = shifted(a.workspace); }, "aligned");
    expect_refused([](auto& a) { a.workspace = nullptr; }, "a workspace of 33554432 bytes");
    expect_refused([](auto& a) { a.scale_inv_a = nullptr; }, "scale_inv");
    expect_refused([](auto& a) { a.scale_inv_b = nullptr; }, "scale_inv");
    expect_refused([](auto& a) { a.bias = nullptr; }, "got none");
    EXPECT_EQ(cublas_lt().matmuls, matmuls);
    EXPECT_TRUE(data_.d_is_unchanged());
    EXPECT_FALSE(planner_.refuses(data_.problem));
  }
  GemmData plain(small_problem());
  GemmArguments arguments = plain.arguments();
  arguments.bias = data_.arguments().bias;
  EXPECT_THAT(run(plain, arguments), HasSubstr("a bias must be given where the problem has one"));
}

TEST_F(GemmPlans, NoAlgorithmIsAnErrorThatIsRemembered) {
  cublas_lt().algorithms = 0;
  EXPECT_FALSE(planner_.refuses(data_.problem));
  const std::string error = run(data_);
  EXPECT_EQ(error,
            "[scaled_mm] cuBLASLt must support the product, got CUBLAS_STATUS_NOT_SUPPORTED from "
            "cublasLtMatmulAlgoGetHeuristic (version 130100) for A=[5, 32] e4m3, B=[24, 32] e4m3, "
            "D=bfloat16, one scale each, bias, device 0 (9.0); emulate it, or use a version that "
            "does");
  EXPECT_TRUE(planner_.refuses(data_.problem));
  EXPECT_EQ(run(data_), error);
  EXPECT_EQ(cublas_lt().heuristics, 1);
}

TEST_F(GemmPlans, AResultThatSaysNoIsNoAlgorithm) {
  cublas_lt().bad_results = 1;
  EXPECT_THAT(run(data_), HasSubstr("must support the product"));
  EXPECT_EQ(cublas_lt().matmuls, 0);
}

TEST_F(GemmPlans, WhatTheCallRefusesIsRememberedToo) {
  cublas_lt().refused_algorithms = 1;
  EXPECT_THAT(run(data_), HasSubstr("NOT_SUPPORTED from cublasLtMatmul (version"));
  EXPECT_TRUE(data_.d_is_unchanged());
  EXPECT_TRUE(planner_.refuses(data_.problem));
  EXPECT_THAT(run(data_), HasSubstr("NOT_SUPPORTED from cublasLtMatmul (version"));
  EXPECT_EQ(cublas_lt().matmuls, 1);
}

TEST_F(GemmPlans, AFailureIsAnErrorButNoRefusal) {
  ASSERT_EQ(run(data_), "");
  cublas_lt().matmul_status = CUBLAS_STATUS_EXECUTION_FAILED;
  cublas_lt().matmuls_before_failure = 2;
  EXPECT_EQ(run(data_), "");
  EXPECT_THAT(run(data_), HasSubstr("must succeed, got CUBLAS_STATUS_EXECUTION_FAILED from"));
  EXPECT_FALSE(planner_.refuses(data_.problem));
  cublas_lt().matmul_status = CUBLAS_STATUS_SUCCESS;
  EXPECT_EQ(run(data_), "");
}

TEST_F(GemmPlans, AFailedQueryIsTriedAgain) {
  cublas_lt().heuristic_status = CUBLAS_STATUS_ALLOC_FAILED;
  EXPECT_THAT(run(data_), HasSubstr("got CUBLAS_STATUS_ALLOC_FAILED from"));
  EXPECT_FALSE(planner_.refuses(data_.problem));
  cublas_lt().heuristic_status = CUBLAS_STATUS_SUCCESS;
  EXPECT_EQ(run(data_), "");
}

TEST_F(GemmPlans, AVersionWithoutOuterScalesRefusesThemOnly) {
  cublas_lt().version = 120800;
  GemmData rows(outer());
  EXPECT_THAT(run(rows), HasSubstr("(version 120800) for A=[5, 32] e4m3, B=[24, 32] e4m3, "
                                   "D=bfloat16, a scale for each row"));
  EXPECT_TRUE(planner_.refuses(rows.problem));
  EXPECT_EQ(run(data_), "");
}

}  // namespace
}  // namespace float8::kernels::testing
