// Choices kept in a file: read back by the next run, shared between processes, and never trusted.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "cublas_lt_double.h"
#include "cuda_runtime_double.h"
#include "gemm_data.h"

namespace float8::kernels::testing {
namespace {

namespace fs = std::filesystem;
using host_cuda::cublas_lt;
using host_cuda::runtime;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr const char* kHeader = "float8 gemm choices 1";

class GemmCache : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              ("float8_gemm_cache_" + std::to_string(getpid()) + "_" +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    file_ = folder_ / "choices";
    start_process();
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Everything that a process would know is forgotten.
  void start_process(int candidates = 6) {
    reset_doubles();
    cublas_lt().time = [](int algorithm, int) { return algorithm == 3 ? 1.0F : 2.0F; };
    planner_ = std::make_unique<GemmPlanner>(
        GemmTuning{.candidates = candidates, .cache_file = file_.string()});
  }

  int algorithm_of(const GemmProblem& problem) {
    GemmData data(problem);
    const std::string error =
        planner_->run(host_cuda::cublas_lt_handle(), problem, data.arguments());
    EXPECT_EQ(error, "");
    EXPECT_LE(data.worst_error(), 1);
    return cublas_lt().last_algorithm;
  }

  std::vector<std::string> lines() const {
    std::vector<std::string> all;
    std::ifstream stream(file_);
    for (std::string line; std::getline(stream, line);) {
      all.push_back(line);
    }
    return all;
  }
  void write(const std::vector<std::string>& all) const {
    std::ofstream stream(file_);
    for (const std::string& line : all) {
      stream << line << "\n";
    }
  }

  fs::path folder_;
  fs::path file_;
  std::unique_ptr<GemmPlanner> planner_;
};

GemmProblem problem_of(std::int64_t m) {
  GemmProblem problem = small_problem();
  problem.m = m;
  return problem;
}

TEST_F(GemmCache, TheNextProcessTakesTheChoiceWithOneCheckAndNoTiming) {
  EXPECT_EQ(algorithm_of(small_problem()), 3);
  EXPECT_EQ(lines().at(0), kHeader);
  EXPECT_THAT(lines(), SizeIs(2));
  EXPECT_THAT(lines().at(1),
              StartsWith("device=Test_GPU/132 cublaslt=130100 capability=90 m=5 n=24 k=32 a=e4m3 "
                         "b=e4m3 d=bfloat16 outer=0 bias=0 accumulate=0 fast=0 workspace=33554432 "
                         "align_a=8 align_b=8 align_d=8 align_bias=0 algorithm="));
  for (const int candidates : {6, 1}) {
    start_process(candidates);
    EXPECT_EQ(algorithm_of(small_problem()), 3);
    EXPECT_EQ(cublas_lt().heuristics, 0);
    EXPECT_EQ(cublas_lt().checks, 1);
    EXPECT_EQ(cublas_lt().matmuls, 1);
    EXPECT_EQ(runtime().events, 0);
    EXPECT_EQ(algorithm_of(small_problem()), 3);
    EXPECT_EQ(cublas_lt().checks, 1);
    EXPECT_THAT(planner_->notes(), ElementsAre());
  }
}

TEST_F(GemmCache, WhatWasNotTimedIsNotKept) {
  start_process(1);
  EXPECT_EQ(algorithm_of(small_problem()), 0);
  start_process();
  runtime().capturing = true;
  EXPECT_EQ(algorithm_of(small_problem()), 0);
  start_process();
  runtime().event_create = cudaErrorInvalidValue;
  EXPECT_EQ(algorithm_of(small_problem()), 0);
  EXPECT_FALSE(fs::exists(file_));
}

TEST_F(GemmCache, ACapturedStreamUsesWhatIsKept) {
  EXPECT_EQ(algorithm_of(small_problem()), 3);
  start_process();
  runtime().capturing = true;
  EXPECT_EQ(algorithm_of(small_problem()), 3);
}

TEST_F(GemmCache, EachProblemHasItsLine) {
  for (int m = 1; m <= 5; ++m) {
    EXPECT_EQ(algorithm_of(problem_of(m)), 3);
  }
  EXPECT_THAT(lines(), SizeIs(6));
  start_process();
  for (int m = 1; m <= 5; ++m) {
    EXPECT_EQ(algorithm_of(problem_of(m)), 3);
  }
  EXPECT_EQ(cublas_lt().heuristics, 0);
}

TEST_F(GemmCache, EachFieldButTheDevicesIndexIsInTheKey) {
  std::vector<GemmProblem> problems(17, small_problem());
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
  problems[14].bias = true;
  problems[14].alignment_bias = 1;
  problems[15].workspace_bytes = 0;
  problems[16].compute_capability = 100;
  std::set<std::string> keys;
  for (const GemmProblem& problem : problems) {
    keys.insert(choice_key(problem, "GPU", 130100));
  }
  EXPECT_THAT(keys, SizeIs(problems.size()));
  problems[0].device = 1;
  EXPECT_TRUE(keys.contains(choice_key(problems[0], "GPU", 130100)));
}

TEST_F(GemmCache, ChoicesOfOtherDevicesAndVersionsAreLeftAloneAndStay) {
  EXPECT_EQ(algorithm_of(small_problem()), 3);
  const auto change = [](int which) {
    if (which == 0) {
      cublas_lt().version = 130200;
    } else if (which == 1) {
      runtime().device_name = "Other GPU";
    } else {
      runtime().multiprocessors = 66;
    }
  };
  for (int which = 0; which < 3; ++which) {
    start_process();
    change(which);
    cublas_lt().time = [](int algorithm, int) { return algorithm == 2 ? 1.0F : 2.0F; };
    EXPECT_EQ(algorithm_of(small_problem()), 2);
    EXPECT_EQ(cublas_lt().checks, 0);
    EXPECT_THAT(lines(), SizeIs(which + 3));
  }
  for (int which = 0; which < 3; ++which) {
    start_process();
    change(which);
    EXPECT_EQ(algorithm_of(small_problem()), 2);
    EXPECT_EQ(cublas_lt().heuristics, 0);
  }
}

TEST_F(GemmCache, DamagedLinesAreIgnoredNotedAndStay) {
  EXPECT_EQ(algorithm_of(problem_of(1)), 3);
  EXPECT_EQ(algorithm_of(problem_of(2)), 3);
  const std::vector<std::string> whole = lines();
  const std::string& line = whole[1];
  std::string changed = line;
  const std::size_t digit = changed.find(" algorithm=") + 20;
  changed[digit] = changed[digit] == '0' ? '1' : '0';
  std::string of_another_problem = line;
  of_another_problem.replace(line.find(" m=1 "), 5, " m=7 ");
  const std::vector<std::string> damages = {changed,
                                            of_another_problem,
                                            line.substr(0, line.size() - 1),
                                            line.substr(0, line.size() / 2),
                                            line + "0",
                                            line + " ",
                                            " algorithm= checksum=",
                                            " checksum=0000000000000000 algorithm=",
                                            "not a choice",
                                            std::string("\0\x01\xFF", 3)};
  for (const std::string& damage : damages) {
    write({kHeader, damage, whole[2]});
    start_process();
    EXPECT_THAT(planner_->notes(), ElementsAre(HasSubstr("choices: line 2 is damaged"))) << damage;
    EXPECT_EQ(algorithm_of(problem_of(2)), 3);
    EXPECT_EQ(cublas_lt().heuristics, 0) << damage;
    EXPECT_EQ(algorithm_of(problem_of(1)), 3);
    EXPECT_EQ(cublas_lt().heuristics, 1) << damage;
    EXPECT_THAT(lines(), ElementsAre(kHeader, damage, whole[2], line));
  }
}

TEST_F(GemmCache, ANoteIsTakenOnce) {
  write({kHeader, "not a choice"});
  start_process();
  EXPECT_THAT(planner_->take_new_notes(), ElementsAre(HasSubstr("line 2 is damaged")));
  EXPECT_THAT(planner_->take_new_notes(), ElementsAre());
  fs::remove(file_);
  fs::create_directory(file_);  // now it cannot be written
  EXPECT_EQ(algorithm_of(small_problem()), 3);
  EXPECT_THAT(planner_->take_new_notes(), ElementsAre(StartsWith(file_.string())));
  EXPECT_THAT(planner_->take_new_notes(), ElementsAre());
}

TEST_F(GemmCache, AFileOfSomethingElseIsNotTouched) {
  const std::vector<std::string> other = {"export PATH=/usr/bin", "alias ll='ls -l'"};
  write(other);
  start_process();
  EXPECT_EQ(algorithm_of(small_problem()), 3);
  EXPECT_EQ(lines(), other);
  EXPECT_THAT(
      planner_->notes().at(0),
      HasSubstr("choices: must begin with \"float8 gemm choices 1\"; it was left as it is"));
}

TEST_F(GemmCache, AnEmptyFileIsFilled) {
  write({});
  start_process();
  EXPECT_EQ(algorithm_of(small_problem()), 3);
  EXPECT_THAT(lines(), SizeIs(2));
  EXPECT_THAT(planner_->notes(), ElementsAre());
}

TEST_F(GemmCache, APlaceThatCannotBeWrittenIsNoted) {
  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  for (const fs::path& place : {folder_ / "missing" / "choices", folder_, pipe}) {
    file_ = place;
    start_process();
    EXPECT_EQ(algorithm_of(small_problem()), 3) << place;
    EXPECT_THAT(planner_->notes(), ::testing::Contains(StartsWith(place.string()))) << place;
  }
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_FALSE(fs::exists(pipe.string() + ".lock"));
  EXPECT_FALSE(fs::exists(folder_.string() + ".lock"));
}

TEST_F(GemmCache, ALinkStaysALink) {
  const fs::path target = folder_ / "target";
  std::ofstream(target).close();
  fs::create_symlink(target, file_);
  start_process();
  EXPECT_EQ(algorithm_of(small_problem()), 3);
  EXPECT_TRUE(fs::is_symlink(file_));
  EXPECT_THAT(lines(), SizeIs(2));
}

TEST_F(GemmCache, AnAlgorithmThatTheCheckRefusesIsChosenAgain) {
  EXPECT_EQ(algorithm_of(small_problem()), 3);
  start_process();
  cublas_lt().check_status = CUBLAS_STATUS_NOT_SUPPORTED;
  cublas_lt().time = [](int algorithm, int) { return algorithm == 2 ? 1.0F : 2.0F; };
  EXPECT_EQ(algorithm_of(small_problem()), 2);
  EXPECT_THAT(planner_->notes(), ElementsAre(HasSubstr("cuBLASLt refused the stored algorithm of "
                                                       "device=Test_GPU/132")));
  EXPECT_THAT(lines(), SizeIs(2));
  start_process();
  EXPECT_EQ(algorithm_of(small_problem()), 2);
  EXPECT_EQ(cublas_lt().heuristics, 0);
}

TEST_F(GemmCache, AnAlgorithmThatTheCallRefusesIsChosenAgain) {
  EXPECT_EQ(algorithm_of(small_problem()), 3);
  for (const int candidates : {1, 6}) {
    start_process(candidates);
    cublas_lt().refused_algorithms = 1U << 3;
    EXPECT_EQ(algorithm_of(small_problem()), 0);
    EXPECT_EQ(cublas_lt().checks, 1);
    EXPECT_EQ(cublas_lt().heuristics, 1);
    EXPECT_FALSE(planner_->refuses(small_problem()));
    const int matmuls = cublas_lt().matmuls;
    EXPECT_EQ(algorithm_of(small_problem()), 0);
    EXPECT_EQ(cublas_lt().matmuls, matmuls + 1);
  }
}

TEST_F(GemmCache, ProcessesThatWriteAtOnceLoseNothing) {
  constexpr int kProcesses = 6;
  constexpr int kProblems = 8;
  std::vector<pid_t> children;
  for (int child = 0; child < kProcesses; ++child) {
    const pid_t id = fork();
    if (id == 0) {
      start_process();
      for (int i = 0; i < kProblems; ++i) {
        algorithm_of(problem_of(1 + i * kProcesses + child));
      }
      _exit(HasFailure() || !planner_->notes().empty() ? 1 : 0);
    }
    children.push_back(id);
  }
  for (const pid_t id : children) {
    int status = 0;
    waitpid(id, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_THAT(lines(), SizeIs(1 + kProcesses * kProblems));
  start_process();
  for (int m = 1; m <= kProcesses * kProblems; ++m) {
    EXPECT_EQ(algorithm_of(problem_of(m)), 3);
  }
  EXPECT_EQ(cublas_lt().heuristics, 0);
  EXPECT_FALSE(fs::exists(file_.string() + ".next"));
}

}  // namespace
}  // namespace float8::kernels::testing
