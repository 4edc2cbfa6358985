#include "src/ops/linear/copies.h"

namespace float8::ops {

bool is_complete(const Copies& copies, const CopiesWanted& wanted) {
  return (!wanted.straight || copies.straight.data.defined()) &&
         (!wanted.transposed || copies.transposed.data.defined());
}

Copies make_copies(const at::Tensor& x, const CopiesWanted& wanted, Copies found) {
  const bool straight = wanted.straight && !found.straight.data.defined();
  const bool transposed = wanted.transposed && !found.transposed.data.defined();
  Copies copies = std::move(found);
  if (straight && transposed) {
    std::tie(copies.straight.data, copies.straight.scale_inv, copies.transposed.data,
             copies.transposed.scale_inv) =
        quantize_pair(x, wanted.dtype, *wanted.straight, *wanted.transposed, wanted.power_of_two);
  } else if (straight) {
    std::tie(copies.straight.data, copies.straight.scale_inv) =
        quantize(x, wanted.dtype, *wanted.straight, wanted.power_of_two);
  } else if (transposed) {
    std::tie(copies.transposed.data, copies.transposed.scale_inv) =
        quantize(x, wanted.dtype, *wanted.transposed, wanted.power_of_two, /*transpose=*/true);
  }
  return copies;
}

}  // namespace float8::ops
