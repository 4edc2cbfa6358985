#include "src/ops/autograd/check_transforms.h"

#include <c10/core/impl/LocalDispatchKeySet.h>

namespace float8::ops {
namespace {

bool has_tangent(const at::Tensor& tensor) { return tensor._fw_grad(/*level=*/0).defined(); }

}  // namespace

void check_no_tangent(const at::Tensor& input, const at::Tensor& weight,
                      const std::optional<at::Tensor>& bias) {
  TORCH_CHECK(!has_tangent(input) && !has_tangent(weight) && !(bias && has_tangent(*bias)),
              "[linear] FP8 casts have no forward derivative, got a tensor with a tangent "
              "(torch.func.jvp, jacfwd, forward_ad); use the reverse mode, or leave the layer in "
              "high precision");
}

void check_no_functional_gradient() {
  // Included while a transform is under way, and not in what vmap calls for each sample.
  TORCH_CHECK(!c10::impl::tls_local_dispatch_key_set().included_.has(
                  c10::DispatchKey::FuncTorchDynamicLayerFrontMode),
              "[linear] torch.func.grad, vjp and jacrev cannot differentiate an FP8 layer, whose "
              "gradient is computed in C++; call backward() or torch.autograd.grad instead");
}

}  // namespace float8::ops
