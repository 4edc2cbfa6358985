#pragma once

#include <cublasLt.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/gemm/gemm.h"
#include "kernels/gemm/problem.h"

namespace float8::kernels {

/// What cuBLASLt needs to run a problem, but for the pointers. Never changed once other threads can
/// see it.
///
/// cuBLASLt's matrices are column-major. Our row-major D is its transpose there, D^T = B A^T: its A
/// is our B (transposed), its B is our A, its rows are our columns, and its bias runs along ours.
struct GemmPlan {
  GemmProblem problem;
  std::string refusal;  ///< not empty: why cuBLASLt has no algorithm for it; nothing else is set
  cublasLtMatmulDescOpaque_t descriptor;
  cublasLtMatrixLayoutOpaque_t layout_a;  ///< of our A, and so on
  cublasLtMatrixLayoutOpaque_t layout_b;
  cublasLtMatrixLayoutOpaque_t layout_d;
  cublasLtMatmulAlgo_t algorithm;
  float beta;
  bool stored = false;  ///< the algorithm came from a file
  /// The bits that are 0 in pointers of the problem's alignments.
  std::uintptr_t unaligned_a;
  std::uintptr_t unaligned_b;
  std::uintptr_t unaligned_d;
  std::uintptr_t unaligned_bias;
};

/// The result of a call into cuBLASLt: a status, and the call's name where it is not success.
struct BlasStatus {
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  const char* call = "";

  explicit operator bool() const { return status != CUBLAS_STATUS_SUCCESS; }  ///< it failed
  /// cuBLASLt's way to say that it can't, rather than that something went wrong.
  bool refused() const;
  /// "[scaled_mm] ..." for a problem that met this status.
  std::string message(const GemmProblem& problem) const;
};

/// Everything of a plan but its algorithm.
BlasStatus describe_problem(const GemmProblem& problem, GemmPlan& plan);

/// The heuristic's algorithms for such a plan, the most promising first; at most `wanted`.
/// NOT_SUPPORTED where there are none.
BlasStatus find_algorithms(cublasLtHandle_t handle, GemmPlan& plan, const GemmArguments& arguments,
                           int wanted, std::vector<cublasLtMatmulAlgo_t>& algorithms);

/// Whether an algorithm of another run is one for such a plan.
BlasStatus check_algorithm(cublasLtHandle_t handle, GemmPlan& plan,
                           const cublasLtMatmulAlgo_t& algorithm);

/// Starts the product: D = A B^T + beta C, C of D's layout. `c` is arguments.d but in trials.
BlasStatus start(cublasLtHandle_t handle, const GemmPlan& plan,
                 const cublasLtMatmulAlgo_t& algorithm, const GemmArguments& arguments,
                 const void* c);

inline constexpr std::uintptr_t kWorkspaceAlignment = 256;

/// What is wrong with pointers that a plan was not made for; empty where nothing is.
std::string misfit(const GemmPlan& plan, const GemmArguments& arguments);

/// Whether the pointers are those of the plan's problem: what each product asks of misfit().
inline bool fits(const GemmPlan& plan, const GemmArguments& arguments) {
  const auto bits = [](const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); };
  const std::uintptr_t unaligned =
      (bits(arguments.a) & plan.unaligned_a) | (bits(arguments.b) & plan.unaligned_b) |
      (bits(arguments.d) & plan.unaligned_d) | (bits(arguments.bias) & plan.unaligned_bias) |
      (bits(arguments.workspace) & (kWorkspaceAlignment - 1));
  return unaligned == 0 && arguments.scale_inv_a != nullptr && arguments.scale_inv_b != nullptr &&
         (arguments.workspace != nullptr || plan.problem.workspace_bytes == 0) &&
         (arguments.bias != nullptr) == plan.problem.bias;
}

}  // namespace float8::kernels
