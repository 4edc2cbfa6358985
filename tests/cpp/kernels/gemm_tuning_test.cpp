// The choice of an algorithm by timing, on the doubles' clock.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "cublas_lt_double.h"
#include "cuda_runtime_double.h"
#include "gemm_data.h"

namespace float8::kernels::testing {
namespace {

using host_cuda::cublas_lt;
using host_cuda::runtime;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class GemmTrials : public ::testing::Test {
 protected:
  void SetUp() override {
    reset_doubles();
    cublas_lt().time = [](int algorithm, int) { return algorithm == 3 ? 1.0F : 2.0F; };
  }

  void TearDown() override {
    EXPECT_EQ(runtime().live_events, 0);
    EXPECT_EQ(runtime().live_allocations, 0);
    EXPECT_EQ(runtime().last_error, cudaSuccess);
  }

  // Runs the data's problem; the algorithm that made D, or -1 with a failure.
  int algorithm_of(GemmData& data) {
    data.reset_d();
    const std::string error =
        planner_.run(host_cuda::cublas_lt_handle(), data.problem, data.arguments());
    EXPECT_EQ(error, "");
    EXPECT_LE(data.worst_error(), 1);
    return error.empty() ? int{cublas_lt().last_algorithm} : -1;
  }

  GemmPlanner planner_{GemmTuning{.candidates = 6}};
  GemmData data_{small_problem()};
};

TEST_F(GemmTrials, TheFastestIsTakenAndKept) {
  EXPECT_EQ(algorithm_of(data_), 3);
  const int matmuls = cublas_lt().matmuls;
  EXPECT_EQ(algorithm_of(data_), 3);
  EXPECT_EQ(cublas_lt().matmuls, matmuls + 1);
  EXPECT_EQ(cublas_lt().heuristics, 1);
  EXPECT_THAT(planner_.notes(), ElementsAre());
}

TEST_F(GemmTrials, OnlySoManyCandidatesAreTried) {
  cublas_lt().algorithms = 8;
  cublas_lt().time = [](int algorithm, int) { return 10.0F - static_cast<float>(algorithm); };
  EXPECT_EQ(algorithm_of(data_), 5);
}

TEST_F(GemmTrials, OneCandidateIsNotTimed) {
  GemmPlanner planner{GemmTuning{.candidates = 1}};
  EXPECT_EQ(planner.run(host_cuda::cublas_lt_handle(), data_.problem, data_.arguments()), "");
  EXPECT_EQ(cublas_lt().last_algorithm, 0);
  EXPECT_EQ(cublas_lt().matmuls, 1);
  EXPECT_EQ(runtime().events, 0);
}

TEST_F(GemmTrials, TheFirstRunOfAnAlgorithmDoesNotCount) {
  cublas_lt().time = [](int algorithm, int run) {
    return run == 0 ? 100.0F * static_cast<float>(algorithm) : algorithm == 4 ? 1.0F : 2.0F;
  };
  EXPECT_EQ(algorithm_of(data_), 4);
}

TEST_F(GemmTrials, OutliersDoNotDecide) {
  cublas_lt().time = [](int algorithm, int run) {
    const float usual = algorithm == 2 ? 1.0F : 2.0F;
    const bool late = algorithm == 2 && run % 2 == 0;  // the first and two more
    const bool early = algorithm == 5 && (run == 1 || run == 3);
    return late ? 50.0F : early ? 0.01F : usual;
  };
  EXPECT_EQ(algorithm_of(data_), 2);
}

TEST_F(GemmTrials, OfEqualsTheHeuristicsFirstIsTaken) {
  cublas_lt().time = [](int, int) { return 1.0F; };
  EXPECT_EQ(algorithm_of(data_), 0);
}

TEST_F(GemmTrials, ARefusedCandidateIsPassedOver) {
  cublas_lt().refused_algorithms = 1U << 0 | 1U << 3;
  EXPECT_EQ(algorithm_of(data_), 1);
}

TEST_F(GemmTrials, WhereAllAreRefusedTheProblemIs) {
  cublas_lt().refused_algorithms = ~std::uint64_t{0};
  const std::string error =
      planner_.run(host_cuda::cublas_lt_handle(), data_.problem, data_.arguments());
  EXPECT_THAT(error, HasSubstr("must support the product"));
  EXPECT_TRUE(data_.d_is_unchanged());
  EXPECT_TRUE(planner_.refuses(data_.problem));
}

TEST_F(GemmTrials, WhatIsAddedToIsNotTouchedByTrials) {
  GemmProblem problem = small_problem();
  problem.accumulate = true;
  problem.d = DataType::kFloat32;
  GemmData data(problem);
  EXPECT_EQ(algorithm_of(data), 3);  // compares with D before + the product, once
  EXPECT_EQ(runtime().allocations, 1);
  EXPECT_EQ(algorithm_of(data), 3);
  EXPECT_EQ(runtime().allocations, 1);
}

TEST_F(GemmTrials, WithoutMemoryForTrialsTheFirstIsTakenAndNoted) {
  GemmProblem problem = small_problem();
  problem.accumulate = true;
  GemmData data(problem);
  runtime().malloc_async = cudaErrorMemoryAllocation;
  EXPECT_EQ(algorithm_of(data), 0);
  EXPECT_THAT(planner_.notes(), ElementsAre(HasSubstr("no memory for trials: out of memory")));
  EXPECT_EQ(algorithm_of(data), 0);
  EXPECT_EQ(cublas_lt().heuristics, 1);
}

TEST_F(GemmTrials, WithoutEventsTheFirstIsTakenAndNoted) {
  runtime().event_create = cudaErrorInvalidValue;
  EXPECT_EQ(algorithm_of(data_), 0);
  EXPECT_THAT(planner_.notes(), ElementsAre(HasSubstr("no events")));
}

TEST_F(GemmTrials, AFailingClockEndsTheTrials) {
  runtime().event_synchronize = cudaErrorInvalidValue;
  EXPECT_EQ(algorithm_of(data_), 0);
  EXPECT_THAT(planner_.notes(), ElementsAre(HasSubstr("timing failed")));
}

TEST_F(GemmTrials, ACapturedStreamIsNotTimedAndTheChoiceComesLater) {
  for (const bool unknown : {false, true}) {
    runtime().capturing = !unknown;
    runtime().is_capturing = unknown ? cudaErrorStreamCaptureImplicit : cudaSuccess;
    EXPECT_EQ(algorithm_of(data_), 0);
    EXPECT_EQ(runtime().events, 0);
  }
  runtime().is_capturing = cudaSuccess;
  EXPECT_EQ(algorithm_of(data_), 3);
  runtime().capturing = true;
  EXPECT_EQ(algorithm_of(data_), 3);
}

class GemmEnvironment : public ::testing::Test {
 protected:
  void SetUp() override { reset_doubles(); }
  void TearDown() override {
    unsetenv("FLOAT8_GEMM_CANDIDATES");
    unsetenv("FLOAT8_GEMM_CACHE");
  }
};

TEST_F(GemmEnvironment, UnsetMeansTheFirstAlgorithmAndNoFile) {
  const GemmTuning tuning = gemm_tuning_from_environment();
  EXPECT_EQ(tuning.candidates, 1);
  EXPECT_EQ(tuning.cache_file, "");
  EXPECT_EQ(tuning.error, "");
}

TEST_F(GemmEnvironment, SetIsRead) {
  setenv("FLOAT8_GEMM_CANDIDATES", "64", 1);
  setenv("FLOAT8_GEMM_CACHE", "folder/choices", 1);
  const GemmTuning tuning = gemm_tuning_from_environment();
  EXPECT_EQ(tuning.candidates, 64);
  EXPECT_EQ(tuning.cache_file, "folder/choices");
  EXPECT_EQ(tuning.error, "");
}

TEST_F(GemmEnvironment, BadTextFailsTheFirstProductOnly) {
  for (const char* text : {"", "0", "65", "-1", "8 ", " 8", "8x", "many", "99999999999", "1.5"}) {
    setenv("FLOAT8_GEMM_CANDIDATES", text, 1);
    const GemmTuning tuning = gemm_tuning_from_environment();
    EXPECT_EQ(tuning.candidates, 1) << text;
    EXPECT_EQ(tuning.error,
              "[scaled_mm] FLOAT8_GEMM_CANDIDATES must be a whole number from 1 to 64, got \"" +
                  std::string(text) + "\"; set it to one, or unset it (1)");
    GemmPlanner planner(tuning);
    GemmData data(small_problem());
    const auto run = [&] {
      return planner.run(host_cuda::cublas_lt_handle(), data.problem, data.arguments());
    };
    EXPECT_EQ(run(), tuning.error);
    EXPECT_TRUE(data.d_is_unchanged());
    EXPECT_EQ(run(), "");
    EXPECT_LE(data.worst_error(), 1);
  }
}

TEST_F(GemmEnvironment, RunGemmRunsAndKnowsWhatItRefuses) {
  GemmData data(small_problem());
  EXPECT_EQ(run_gemm(host_cuda::cublas_lt_handle(), data.problem, data.arguments()), "");
  EXPECT_LE(data.worst_error(), 1);
  EXPECT_FALSE(gemm_refuses(data.problem));
  GemmProblem outer = small_problem();
  outer.scales = ScaleMode::kOuter;
  outer.compute_capability = 100;
  EXPECT_TRUE(gemm_refuses(outer));
  EXPECT_THAT(take_gemm_notes(), ElementsAre());
}

}  // namespace
}  // namespace float8::kernels::testing
