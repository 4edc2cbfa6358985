#include <stdexcept>

#include "tests/cpp/ops/host_cuda.h"

// Takes the place of host_cuda.cpp in a build without CUDA's headers.
namespace float8::testing {

class HostCuda::Registration {};

HostCuda::HostCuda(int /*compute_capability*/, HostProduct /*product*/) {
  throw std::logic_error("this build has no host CUDA; ask has_host_cuda() first");
}

HostCuda::~HostCuda() = default;

bool has_host_cuda() { return false; }

}  // namespace float8::testing
