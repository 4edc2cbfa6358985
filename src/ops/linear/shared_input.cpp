// The input that several layers read one after another is quantized once.

#include <algorithm>
#include <array>
#include <limits>
#include <mutex>
#include <vector>

#include "src/ops/linear/kept_copies.h"

namespace float8::ops {
namespace {

/// The copies of the input that a device's last layer read, until the next input or the backward
/// pass. One, since layers that share an input are called one after another: so at most the FP8
/// copies of one tensor wait, and copies that nobody will read do not pile up.
struct LastInput {
  std::mutex mutex;
  KeptCopies copies;
  std::vector<const void*> readers;  ///< the weights that were multiplied by it

  bool has_reader(const at::Tensor& weight) const {
    return std::find(readers.begin(), readers.end(), weight.unsafeGetTensorImpl()) != readers.end();
  }
};

LastInput& last_input(c10::Device device) {
  constexpr std::size_t kDevices = 1 + std::numeric_limits<c10::DeviceIndex>::max();
  // Never destroyed: at the end of a program there may be no device left to free memory of.
  static auto* all = new std::array<LastInput, 1 + kDevices>();
  return (*all)[device.is_cpu() ? 0 : 1 + static_cast<std::size_t>(device.index())];
}

}  // namespace

Copies shared_input_copies(const at::Tensor& input, const at::Tensor& weight,
                           const CopiesWanted& wanted, bool backward_follows) {
  const auto rows = [&] { return input.reshape_symint({-1, weight.sym_size(1)}); };
  if (!backward_follows || !(wanted.straight || wanted.transposed) || !can_keep_copies_of(input)) {
    return make_copies(rows(), wanted);
  }
  LastInput& last = last_input(input.device());
  Copies found;
  {
    const std::lock_guard<std::mutex> lock(last.mutex);
    if (!last.has_reader(weight)) {
      found = last.copies.find(input, wanted);
    }
    if (is_complete(found, wanted)) {
      last.readers.push_back(weight.unsafeGetTensorImpl());
      return found;
    }
    if (!found.straight.data.defined() && !found.transposed.data.defined()) {
      last.copies.forget();  // before new ones are allocated
      last.readers.clear();
    }
  }
  const Snapshot before(input);
  const Copies copies = make_copies(rows(), wanted, found);
  const std::lock_guard<std::mutex> lock(last.mutex);
  last.copies.keep(before, wanted, copies);
  last.readers.push_back(weight.unsafeGetTensorImpl());
  return copies;
}

void forget_shared_input(c10::Device device) {
  if (device.is_cpu() || device.is_cuda()) {
    LastInput& last = last_input(device);
    const std::lock_guard<std::mutex> lock(last.mutex);
    last.copies.forget();
    last.readers.clear();
  }
}

}  // namespace float8::ops
