#include "src/ops/linear/kept_copies.h"

#include <ATen/TracerMode.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <c10/core/impl/TorchDispatchModeTLS.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace float8::ops {
namespace {

CaptureId capture_id_of = nullptr;

bool same_copy(const std::optional<Block>& kept, const std::optional<Block>& wanted) {
  return wanted.has_value() && kept == wanted;
}

}  // namespace

void set_capture_id(CaptureId capture_id) { capture_id_of = capture_id; }

Snapshot::Queue Snapshot::queue_of(const at::Tensor& tensor) {
  if (tensor.device().is_cpu()) {
    return {.stream = 0, .capture = 0};
  }
  const c10::impl::VirtualGuardImpl device(tensor.device().type());
  return {.stream = device.getStream(tensor.device()).id(),
          .capture = capture_id_of == nullptr ? 0 : capture_id_of(tensor.device())};
}

Snapshot::Snapshot(const at::Tensor& tensor)
    : tensor_(tensor.getIntrusivePtr()),
      storage_(tensor.storage().getWeakStorageImpl()),
      data_(tensor.const_data_ptr()),
      version_(tensor._version()),
      dtype_(tensor.scalar_type()),
      sizes_(tensor.sizes()),
      strides_(tensor.strides()),
      queue_(queue_of(tensor)) {}

bool Snapshot::is_still(const at::Tensor& tensor) const {
  return tensor_._unsafe_get_target() == tensor.unsafeGetTensorImpl() &&
         storage_._unsafe_get_target() == tensor.storage().unsafeGetStorageImpl() &&
         data_ == tensor.const_data_ptr() && version_ == tensor._version() &&
         dtype_ == tensor.scalar_type() && sizes_ == tensor.sizes() &&
         strides_ == tensor.strides() && queue_ == queue_of(tensor);
}

bool can_keep_copies_of(const at::Tensor& tensor) {
  using c10::DispatchKey;
  using c10::DispatchKeySet;
  static constexpr DispatchKeySet kOrdinary = DispatchKeySet(
      {DispatchKey::CPU, DispatchKey::CUDA, DispatchKey::ADInplaceOrView, DispatchKey::AutogradCPU,
       DispatchKey::AutogradCUDA, DispatchKey::AutocastCPU, DispatchKey::AutocastCUDA});
  static constexpr DispatchKeySet kWatchers = DispatchKeySet(
      {DispatchKey::Python, DispatchKey::PythonTLSSnapshot, DispatchKey::Functionalize,
       DispatchKey::FuncTorchDynamicLayerFrontMode, DispatchKey::Tracer});
  const bool ordinary =  // a difference of key sets keeps the backends
      (tensor.key_set() - kOrdinary).highestFunctionalityKey() == DispatchKey::Undefined;
  return ordinary && (tensor.is_cpu() || tensor.is_cuda()) && tensor.has_storage() &&
         tensor.unsafeGetTensorImpl()->version_counter().enabled() &&
         !c10::InferenceMode::is_enabled() && !c10::impl::dispatch_mode_enabled() &&
         !c10::impl::tls_local_dispatch_key_set().included_.has_any(kWatchers);
}

Copies KeptCopies::find(const at::Tensor& tensor, const CopiesWanted& wanted) const {
  Copies found;
  if (snapshot_ && cast_.dtype == wanted.dtype && cast_.power_of_two == wanted.power_of_two &&
      snapshot_->is_still(tensor)) {
    if (same_copy(cast_.straight, wanted.straight)) {
      found.straight = copies_.straight;
    }
    if (same_copy(cast_.transposed, wanted.transposed)) {
      found.transposed = copies_.transposed;
    }
  }
  return found;
}

void KeptCopies::keep(const Snapshot& snapshot, const CopiesWanted& wanted, const Copies& copies) {
  if (snapshot_ != snapshot || cast_.dtype != wanted.dtype ||
      cast_.power_of_two != wanted.power_of_two) {
    forget();
    snapshot_ = snapshot;
    cast_ = {.dtype = wanted.dtype, .power_of_two = wanted.power_of_two};
  }
  if (wanted.straight) {
    cast_.straight = wanted.straight;
    copies_.straight = copies.straight;
  }
  if (wanted.transposed) {
    cast_.transposed = wanted.transposed;
    copies_.transposed = copies.transposed;
  }
}

void KeptCopies::forget() {
  snapshot_.reset();
  cast_ = {};
  copies_ = {};
}

}  // namespace float8::ops
