#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <string>

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

/// Runs a problem, asynchronously on its stream. The plan (layouts, descriptor, algorithm) is made
/// when a problem is first seen and kept for the process; thread-safe. A call with a known problem
/// allocates nothing, makes no descriptor and asks the device nothing.
/// Returns "" or an error that says what was required, what came and what to do.
std::string run_gemm(cublasLtHandle_t handle, const GemmProblem& problem,
                     const GemmArguments& arguments);

/// How the algorithm for a new problem is chosen. Read once, when the first plan is made.
struct GemmTuning {
  int candidates = 1;      ///< 1: the heuristic's first; more: the fastest of so many, by timing
  std::string cache_file;  ///< choices are kept here between runs; empty: not kept
};
/// From FLOAT8_GEMM_CANDIDATES and FLOAT8_GEMM_CACHE.
GemmTuning gemm_tuning_from_environment();

}  // namespace float8::kernels
