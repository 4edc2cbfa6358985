#pragma once

#include <memory>

// The CUDA backend without a GPU: its operators and kernels, compiled for the host (see
// tests/host_cuda/README.md), in the place of the CPU's.
namespace float8::testing {

/// Which product scaled_mm takes.
enum class HostProduct { kFp8, kFloat32 };

/// While it lives, the leaf operators on CPU tensors are the CUDA backend's, for a device of that
/// compute capability. A test says `emulate` for every backend alike; kFp8 takes cuBLASLt's FP8
/// product (its double's, on the host) all the same.
class HostCuda {
 public:
  HostCuda(int compute_capability, HostProduct product);
  ~HostCuda();

 private:
  class Registration;
  std::unique_ptr<Registration> registration_;
};

/// Whether this build has it: it needs CUDA's headers.
bool has_host_cuda();

}  // namespace float8::testing
