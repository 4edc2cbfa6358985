#pragma once

#include <cublasLt.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "kernels/gemm/plan.h"

namespace float8::kernels {

/// Whether work on a stream is being recorded in a graph, so that it can't be timed; also where
/// that is unknown.
bool is_capturing(cudaStream_t stream);

/// The algorithm that runs a plan's problem fastest on the arguments' stream: the median of a few
/// runs each, in turns, timed by events; of equals, the first. Waits for the stream. Overwrites D,
/// but where the problem adds to it. Nothing where they can't be timed (no memory for the trials'
/// D); `why` says so. The stream is not being captured.
std::optional<std::size_t> fastest(cublasLtHandle_t handle, const GemmPlan& plan,
                                   const GemmArguments& arguments,
                                   const std::vector<cublasLtMatmulAlgo_t>& algorithms,
                                   std::string& why);

}  // namespace float8::kernels
