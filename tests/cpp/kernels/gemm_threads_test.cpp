// One planner, many threads. ThreadSanitizer runs this too.

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "cublas_lt_double.h"
#include "cuda_runtime_double.h"
#include "gemm_data.h"

namespace float8::kernels::testing {
namespace {

constexpr int kThreads = 8;

// Each thread has its own operands, of other values than the others' for the same problem.
void run_in_threads(GemmPlanner& planner, int problems, int rounds) {
  std::mutex mutex;
  std::vector<std::string> errors;
  std::atomic<int> ready = 0;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      std::vector<std::unique_ptr<GemmData>> data;
      for (int i = 0; i < problems; ++i) {
        GemmProblem problem = small_problem();
        problem.m = 1 + i % 4;
        problem.n = 8;
        problem.k = 16;
        problem.workspace_bytes -= static_cast<std::size_t>(i);  // another problem
        problem.scales = i % 2 == 0 ? ScaleMode::kTensor : ScaleMode::kOuter;
        data.push_back(std::make_unique<GemmData>(problem, static_cast<std::uint64_t>(thread)));
      }
      for (++ready; ready < kThreads;) {
        std::this_thread::yield();
      }
      for (int i = 0; i < rounds * problems; ++i) {
        GemmData& one = *data[static_cast<std::size_t>((i + thread * problems / 4) % problems)];
        one.reset_d();
        std::string error =
            planner.run(host_cuda::cublas_lt_handle(), one.problem, one.arguments());
        if (error.empty() && one.worst_error() > 1) {
          error = "wrong: " + describe(one.problem);
        }
        if (!error.empty()) {
          const std::scoped_lock lock(mutex);
          errors.push_back(error);
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(errors.size(), 0U) << errors.front();
}

TEST(GemmThreads, SharePlans) {
  reset_doubles();
  GemmPlanner planner{GemmTuning{}};
  constexpr int kProblems = 300;  // the table grows twice
  run_in_threads(planner, kProblems, 2);
  EXPECT_LE(host_cuda::cublas_lt().heuristics, kProblems * kThreads);
  const int heuristics = host_cuda::cublas_lt().heuristics;
  run_in_threads(planner, kProblems, 1);
  EXPECT_EQ(host_cuda::cublas_lt().heuristics, heuristics);
}

TEST(GemmThreads, ShareTrials) {
  reset_doubles();
  GemmPlanner planner{GemmTuning{.candidates = 4}};
  run_in_threads(planner, 12, 3);
  EXPECT_EQ(host_cuda::runtime().live_events, 0);
}

TEST(GemmThreads, LearnOfARefusalWhileOthersRun) {
  reset_doubles();
  host_cuda::cublas_lt().refused_algorithms = 1;
  GemmPlanner planner{GemmTuning{}};
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  std::atomic<int> refusals = 0;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      GemmData data(small_problem());
      for (int i = 0; i < 50; ++i) {
        refusals += planner.run(host_cuda::cublas_lt_handle(), data.problem, data.arguments())
                        .find("must support") != std::string::npos;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(refusals, kThreads * 50);
  EXPECT_LE(host_cuda::cublas_lt().matmuls, kThreads);
}

}  // namespace
}  // namespace float8::kernels::testing
