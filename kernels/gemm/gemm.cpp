#include "kernels/gemm/gemm.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

#include "kernels/gemm/planner.h"

namespace float8::kernels {
namespace {

// Never destroyed: other threads may still run products while the process ends. Not inline: the
// path of every product need not save registers for it.
[[gnu::noinline, gnu::cold]] GemmPlanner& make_planner() {
  return *new GemmPlanner(gemm_tuning_from_environment());
}

GemmPlanner& planner() {
  static GemmPlanner& instance = make_planner();
  return instance;
}

}  // namespace

GemmTuning gemm_tuning_from_environment() {
  constexpr int kMostCandidates = 64;
  GemmTuning tuning;
  if (const char* path = std::getenv("FLOAT8_GEMM_CACHE")) {
    tuning.cache_file = path;
  }
  if (const char* value = std::getenv("FLOAT8_GEMM_CANDIDATES")) {
    const std::string_view text = value;
    int candidates = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), candidates);
    if (error == std::errc() && end == text.data() + text.size() && candidates >= 1 &&
        candidates <= kMostCandidates) {
      tuning.candidates = candidates;
    } else {
      tuning.error = "[scaled_mm] FLOAT8_GEMM_CANDIDATES must be a whole number from 1 to " +
                     std::to_string(kMostCandidates) + ", got \"" + value +
                     "\"; set it to one, or unset it (1)";
    }
  }
  return tuning;
}

std::string run_gemm(cublasLtHandle_t handle, const GemmProblem& problem,
                     const GemmArguments& arguments) {
  return planner().run(handle, problem, arguments);
}

bool gemm_refuses(const GemmProblem& problem) { return planner().refuses(problem); }

std::vector<std::string> take_gemm_notes() { return planner().take_new_notes(); }

}  // namespace float8::kernels
