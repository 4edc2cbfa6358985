#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <string>
#include <vector>

#include "kernels/gemm/problem.h"

namespace float8::kernels {

/// Device pointers of one GEMM.
struct GemmArguments {
  const void* a;
  const void* b;
  void* d;
  const float* scale_inv_a;
  const float* scale_inv_b;
  const void* bias = nullptr;
  void* workspace = nullptr;  ///< the problem's workspace_bytes, 256-byte aligned
  cudaStream_t stream = nullptr;
};

/// Runs a problem, asynchronously on its stream; `handle` belongs to the problem's device. The plan
/// (layouts, descriptor, algorithm) is made when a problem is first seen and kept for the process;
/// thread-safe. A call with a known problem allocates nothing, makes no descriptor and asks the
/// device nothing; only the first call with a problem may wait for the stream, to time algorithms.
/// Returns "" or an error that says what was required, what came and what to do; then D is
/// unchanged, unless CUDA itself failed.
std::string run_gemm(cublasLtHandle_t handle, const GemmProblem& problem,
                     const GemmArguments& arguments);

/// Whether run_gemm refuses this problem, as far as is known: it breaks a rule of cuBLASLt's
/// documentation, or cuBLASLt had no algorithm for it when it was tried. Costs a look-up.
bool gemm_refuses(const GemmProblem& problem);

/// How the algorithm for a new problem is chosen. Read from the environment once, when the first
/// plan is made.
struct GemmTuning {
  int candidates = 1;  ///< 1: the heuristic's first; more: the fastest of so many, by timing
  std::string cache_file = {};  ///< choices are kept here between runs; empty: not kept
  std::string error = {};  ///< what is wrong with them: the first plan fails with it, the rest runs
};
/// From FLOAT8_GEMM_CANDIDATES (1 to 64) and FLOAT8_GEMM_CACHE (a path). Choices found in the file
/// are used whatever the number of candidates; only timed ones are added to it.
GemmTuning gemm_tuning_from_environment();

/// What did not go as asked and stopped nothing, since the last call: lines of the file that were
/// ignored, a file that can't be written, problems that could not be timed. Costs a load when there
/// is nothing new.
std::vector<std::string> take_gemm_notes();

}  // namespace float8::kernels
