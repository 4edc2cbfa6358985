#pragma once

#include <cublasLt.h>

#include <cstddef>
#include <cstdint>
#include <functional>

#include "relaxed.h"

// The functions of cuBLASLt that kernels/gemm calls, on the host. They compute FP8 products in
// float64 and hold to the rules of cuBLASLt's documentation: what those don't promise is refused,
// with the status that cuBLASLt gives where that is documented. Stricter than cuBLASLt in one way:
// an algorithm runs only the problem that it was found for.
namespace float8::host_cuda {

struct CublasLt {
  int compute_capability = 90;
  std::size_t version = 130100;  ///< major * 10000 + minor * 100 + patch
  int algorithms = 8;            ///< that the heuristic knows for a supported problem; 0: none
  int bad_results = 0;           ///< of them, how many come first with a state that says no
  bool computes = true;          ///< products change D; off: they only check what they are given
  /// Milliseconds that a product takes, by the algorithm and how often it has run before.
  std::function<float(int algorithm, int run)> time = [](int, int) { return 1.0F; };

  /// What these return from now on, where that is not success.
  cublasStatus_t heuristic_status = CUBLAS_STATUS_SUCCESS;
  cublasStatus_t check_status = CUBLAS_STATUS_SUCCESS;
  cublasStatus_t matmul_status = CUBLAS_STATUS_SUCCESS;
  int matmuls_before_failure = 0;  ///< products that still succeed before matmul_status counts
  std::uint64_t refused_algorithms = 0;  ///< a bit for each algorithm whose products are refused

  Relaxed<int> heuristics = 0;  ///< calls so far
  Relaxed<int> checks = 0;
  Relaxed<int> matmuls = 0;
  Relaxed<int> descriptors = 0;      ///< initialised so far: products' descriptors and layouts
  Relaxed<int> attributes = 0;       ///< set so far
  Relaxed<int> last_algorithm = -1;  ///< of the last product
  Relaxed<bool> last_fast_accumulation = false;
};
CublasLt& cublas_lt();

/// As at the start of the program.
void reset_cublas_lt();

/// A handle for any number of threads.
cublasLtHandle_t cublas_lt_handle();

}  // namespace float8::host_cuda
