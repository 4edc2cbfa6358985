#include "kernels/gemm/planner.h"

#include <cuda_runtime_api.h>

#include <utility>

#include "kernels/gemm/tuning.h"

namespace float8::kernels {
namespace {

constexpr std::size_t kMostNotes = 100;

// The name and multiprocessors of a device, for they tell what an algorithm's time holds for.
std::string identity_of(int device) {
  cudaDeviceProp properties = {};
  if (cudaGetDeviceProperties(&properties, device) != cudaSuccess) {
    cudaGetLastError();
    return "unknown";
  }
  return std::string(properties.name) + "/" + std::to_string(properties.multiProcessorCount);
}

std::string key_of(const GemmProblem& problem) {
  return choice_key(problem, identity_of(problem.device), cublasLtGetVersion());
}

}  // namespace

GemmPlanner::GemmPlanner(GemmTuning tuning)
    : tuning_(std::move(tuning)),
      told_(tuning_.error.empty()),
      choices_(tuning_.cache_file),
      noted_(choices_.enabled()) {}

std::string GemmPlanner::run(cublasLtHandle_t handle, const GemmProblem& problem,
                             const GemmArguments& arguments) {
  const GemmPlan* plan = plans_.find(problem);
  if (plan == nullptr) [[unlikely]] {
    return run_new(handle, problem, arguments, true);
  }
  return run_plan(handle, *plan, arguments);
}

bool GemmPlanner::refuses(const GemmProblem& problem) const {
  const GemmPlan* plan = plans_.find(problem);
  return plan != nullptr ? !plan->refusal.empty() : broken_rule(problem) != GemmRule::kNone;
}

std::vector<std::string> GemmPlanner::notes() const {
  std::vector<std::string> all = choices_.notes();
  const std::scoped_lock lock(notes_mutex_);
  all.insert(all.end(), notes_.begin(), notes_.end());
  return all;
}

std::vector<std::string> GemmPlanner::collect_new_notes() {
  const std::scoped_lock lock(notes_mutex_);
  noted_ = false;
  const std::vector<std::string> file = choices_.notes();
  std::vector<std::string> fresh(file.begin() + static_cast<std::ptrdiff_t>(taken_file_),
                                 file.end());
  fresh.insert(fresh.end(), notes_.begin() + static_cast<std::ptrdiff_t>(taken_), notes_.end());
  taken_file_ = file.size();
  taken_ = notes_.size();
  return fresh;
}

std::string GemmPlanner::run_plan(cublasLtHandle_t handle, const GemmPlan& plan,
                                  const GemmArguments& arguments) {
  if (!plan.refusal.empty()) [[unlikely]] {
    return plan.refusal;
  }
  if (!fits(plan, arguments)) [[unlikely]] {
    return misfit(plan, arguments);
  }
  const BlasStatus status = start(handle, plan, plan.algorithm, arguments, arguments.d);
  if (status) [[unlikely]] {
    return failed(handle, plan, arguments, status);
  }
  return {};
}

// The call itself may refuse what the heuristic and the check of a stored algorithm let pass.
std::string GemmPlanner::failed(cublasLtHandle_t handle, const GemmPlan& plan,
                                const GemmArguments& arguments, const BlasStatus& status) {
  if (!status.refused()) {
    return status.message(plan.problem);
  }
  if (!plan.stored) {
    return refuse(plan.problem, status);
  }
  choices_.forget(key_of(plan.problem));
  noted_ = true;
  return run_new(handle, plan.problem, arguments, false);
}

std::string GemmPlanner::refuse(const GemmProblem& problem, const BlasStatus& status) {
  auto plan = std::make_unique<GemmPlan>();
  plan->problem = problem;
  plan->refusal = status.message(problem);
  return plans_.replace(std::move(plan)).refusal;
}

std::string GemmPlanner::run_new(cublasLtHandle_t handle, const GemmProblem& problem,
                                 const GemmArguments& arguments, bool stored_too) {
  if (!told_.exchange(true)) {
    return tuning_.error;
  }
  if (std::string error = unsupported(problem); !error.empty()) {
    return error;
  }
  auto plan = std::make_unique<GemmPlan>();
  if (const BlasStatus status = describe_problem(problem, *plan)) {
    return status.refused() ? refuse(problem, status) : status.message(problem);
  }
  if (!fits(*plan, arguments)) {
    return misfit(*plan, arguments);
  }
  bool keep = true;
  if (!stored_too || !use_stored(handle, *plan)) {
    if (const BlasStatus status = choose(handle, *plan, arguments, keep)) {
      return status.refused() ? refuse(problem, status) : status.message(problem);
    }
  }
  if (!keep) {
    return run_plan(handle, *plan, arguments);
  }
  const GemmPlan& kept =
      stored_too ? plans_.insert(std::move(plan)) : plans_.replace(std::move(plan));
  return run_plan(handle, kept, arguments);
}

bool GemmPlanner::use_stored(cublasLtHandle_t handle, GemmPlan& plan) {
  if (!choices_.enabled()) {
    return false;
  }
  const std::string key = key_of(plan.problem);
  const auto algorithm = choices_.find(key);
  if (!algorithm) {
    return false;
  }
  if (check_algorithm(handle, plan, *algorithm)) {
    choices_.forget(key);
    noted_ = true;
    return false;
  }
  plan.algorithm = *algorithm;
  plan.stored = true;
  return true;
}

// Sets the plan's algorithm. A captured stream runs no trials, but a later call on another one may:
// its plan is not kept.
BlasStatus GemmPlanner::choose(cublasLtHandle_t handle, GemmPlan& plan,
                               const GemmArguments& arguments, bool& keep) {
  std::vector<cublasLtMatmulAlgo_t> algorithms;
  if (const BlasStatus status =
          find_algorithms(handle, plan, arguments, tuning_.candidates, algorithms)) {
    return status;
  }
  plan.algorithm = algorithms.front();
  if (algorithms.size() == 1) {
    return {};
  }
  if (is_capturing(arguments.stream)) {
    keep = false;
    return {};
  }
  const std::scoped_lock lock(trials_);
  std::string why;
  const auto best = fastest(handle, plan, arguments, algorithms, why);
  if (!best) {
    note("no trials for " + describe(plan.problem) + ": " + why);
    return {};
  }
  plan.algorithm = algorithms[*best];
  choices_.store({.key = key_of(plan.problem), .algorithm = plan.algorithm});
  noted_ = true;  // the file may have one
  return {};
}

void GemmPlanner::note(std::string text) {
  const std::scoped_lock lock(notes_mutex_);
  if (notes_.size() < kMostNotes) {
    notes_.push_back(std::move(text));
    noted_ = true;
  }
}

}  // namespace float8::kernels
