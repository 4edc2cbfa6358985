#include "tests/cpp/ops/host_cuda.h"

#include "src/ops/cuda/device.h"
#include "src/ops/cuda/operators.h"
#include "tests/host_cuda/cublas_lt_double.h"

namespace float8::testing {
namespace {

HostProduct product_in_use = HostProduct::kFp8;

at::Tensor scaled_mm(const at::Tensor& a, const at::Tensor& b, const at::Tensor& scale_inv_a,
                     const at::Tensor& scale_inv_b, const std::optional<at::Tensor>& bias,
                     at::ScalarType out_dtype, bool use_fast_accum, bool /*emulate*/) {
  return cuda::scaled_mm(a, b, scale_inv_a, scale_inv_b, bias, out_dtype, use_fast_accum,
                         product_in_use == HostProduct::kFloat32);
}

void scaled_mm_add_(const at::Tensor& accumulator, const at::Tensor& a, const at::Tensor& b,
                    const at::Tensor& scale_inv_a, const at::Tensor& scale_inv_b,
                    bool use_fast_accum, bool /*emulate*/) {
  cuda::scaled_mm_add_(accumulator, a, b, scale_inv_a, scale_inv_b, use_fast_accum,
                       product_in_use == HostProduct::kFloat32);
}

}  // namespace

class HostCuda::Registration {
 public:
  Registration()
      : library_(torch::Library::IMPL, "float8", c10::DispatchKey::CPU, __FILE__, __LINE__) {
    cuda::implement_operators(library_, {&scaled_mm, &scaled_mm_add_});
  }

 private:
  torch::Library library_;
};

HostCuda::HostCuda(int compute_capability, HostProduct product) {
  host_cuda::reset_cublas_lt();
  host_cuda::cublas_lt().compute_capability = compute_capability;
  product_in_use = product;
  registration_ = std::make_unique<Registration>();
}

HostCuda::~HostCuda() = default;

bool has_host_cuda() { return true; }

}  // namespace float8::testing
