#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "src/ops/linear/copies.h"

// FP8 copies that outlive the call that made them, and what it takes to trust them.
namespace float8::ops {

/// A tensor as it was when its copies were made: the same object, memory, values and place in a
/// queue of work. Values are compared by torch's version counter, which every operator raises that
/// writes to a tensor. It does not see writes through `.data`, DLPack, NumPy or an address.
class Snapshot {
 public:
  explicit Snapshot(const at::Tensor& tensor);
  [[nodiscard]] bool is_still(const at::Tensor& tensor) const;
  bool operator==(const Snapshot&) const = default;

 private:
  struct Queue {  // copies made in one stream or graph capture are not ready in another
    c10::StreamId stream;
    std::uint64_t capture;
    bool operator==(const Queue&) const = default;
  };
  static Queue queue_of(const at::Tensor& tensor);

  // Weak references, so that nothing is kept alive; and no address is used twice while they are.
  c10::weak_intrusive_ptr<at::TensorImpl, at::UndefinedTensorImpl> tensor_;
  c10::weak_intrusive_ptr<c10::StorageImpl> storage_;
  const void* data_;
  std::uint32_t version_;
  at::ScalarType dtype_;
  at::DimVector sizes_;
  at::DimVector strides_;
  Queue queue_;
};

/// Whether changes of the tensor can be seen, and nobody watches the operators (tracers, dispatch
/// modes, functorch), to whom a copy from before would be a constant.
bool can_keep_copies_of(const at::Tensor& tensor);

/// The copies of one tensor. Not thread safe.
class KeptCopies {
 public:
  /// Those among the wanted ones that are here and still true.
  [[nodiscard]] Copies find(const at::Tensor& tensor, const CopiesWanted& wanted) const;
  /// Keeps copies that were made of the tensor as it was in the snapshot.
  void keep(const Snapshot& snapshot, const CopiesWanted& wanted, const Copies& copies);
  void forget();

 private:
  std::optional<Snapshot> snapshot_;
  CopiesWanted cast_ = {};
  Copies copies_;
};

/// Tells graph captures apart; 0 outside of one. The CUDA backend sets it.
using CaptureId = std::uint64_t (*)(c10::Device device);
void set_capture_id(CaptureId capture_id);

}  // namespace float8::ops
