#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "kernels/gemm/choice_file.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/plan_table.h"

namespace float8::kernels {

/// Makes plans and keeps them: what is behind run_gemm, with its contract. Thread-safe.
class GemmPlanner {
 public:
  explicit GemmPlanner(GemmTuning tuning);

  std::string run(cublasLtHandle_t handle, const GemmProblem& problem,
                  const GemmArguments& arguments);
  bool refuses(const GemmProblem& problem) const;
  std::vector<std::string> notes() const;
  /// Those that no call has returned yet.
  std::vector<std::string> take_new_notes() {
    return noted_.load(std::memory_order_relaxed) ? collect_new_notes()
                                                  : std::vector<std::string>();
  }

 private:
  [[gnu::cold]] std::vector<std::string> collect_new_notes();
  std::string run_plan(cublasLtHandle_t handle, const GemmPlan& plan,
                       const GemmArguments& arguments);
  // Cold, so that the compiler keeps them out of the path of a known problem.
  [[gnu::cold]] std::string run_new(cublasLtHandle_t handle, const GemmProblem& problem,
                                    const GemmArguments& arguments, bool stored_too);
  [[gnu::cold]] std::string failed(cublasLtHandle_t handle, const GemmPlan& plan,
                                   const GemmArguments& arguments, const BlasStatus& status);
  bool use_stored(cublasLtHandle_t handle, GemmPlan& plan);
  BlasStatus choose(cublasLtHandle_t handle, GemmPlan& plan, const GemmArguments& arguments,
                    bool& keep);
  std::string refuse(const GemmProblem& problem, const BlasStatus& status);
  void note(std::string text);

  const GemmTuning tuning_;
  std::atomic<bool> told_;  // the error of tuning_ has been returned
  PlanTable plans_;
  ChoiceFile choices_;
  std::mutex trials_;  // one at a time: they would slow each other down
  mutable std::mutex notes_mutex_;
  std::vector<std::string> notes_;
  std::atomic<bool> noted_;     // there may be new notes
  std::size_t taken_ = 0;       // of notes_
  std::size_t taken_file_ = 0;  // of choices_.notes()
};

}  // namespace float8::kernels
