#pragma once

#include <cublasLt.h>

#include <optional>
#include <string>

#include "kernels/gemm/problem.h"

namespace float8::kernels {

/// An algorithm for a problem, as a line of text: "KEY algorithm=HEX checksum=HEX". The checksum is
/// of all before it: a damaged line must not reach cuBLASLt.
struct Choice {
  std::string key;
  cublasLtMatmulAlgo_t algorithm;
};
std::string to_line(const Choice& choice);

/// Nothing where the line is damaged.
std::optional<Choice> from_line(const std::string& line);

/// The key of a problem on any device of this name (with its number of multiprocessors) with this
/// version of cuBLASLt: an algorithm of another device or version has another key.
std::string choice_key(const GemmProblem& problem, std::string device, std::size_t version);

}  // namespace float8::kernels
