#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "float8/ops.h"

// The FP8 copies of one tensor that GEMMs read.
namespace float8::ops {

/// FP8 data and its scale_inv; both undefined where there is no copy.
struct Copy {
  at::Tensor data;
  at::Tensor scale_inv;
};

struct Copies {
  Copy straight;
  Copy transposed;
};

/// Which copies a layer asks for, and how they are cast.
struct CopiesWanted {
  at::ScalarType dtype;
  bool power_of_two;
  std::optional<Block> straight = {};
  std::optional<Block> transposed = {};  ///< the block is that of the transposed data
};

/// Whether all that is wanted is there.
bool is_complete(const Copies& copies, const CopiesWanted& wanted);

/// Makes the copies of x [M, K] that are wanted and not in `found`, and returns all of them. Two
/// that are missing are made together, for the fewest bytes.
Copies make_copies(const at::Tensor& x, const CopiesWanted& wanted, Copies found = {});

/// The copies of a layer's input [..., K]. Layers that are called one after another with the same
/// input (q, k, v; gate, up) share what the first of them made, where a backward pass will follow:
/// until then nobody may write to the input unseen, since autograd would compute from it too.
/// Without one, programs may refill it by address (NumPy, collectives). `weight` tells the layers
/// apart: one that comes again starts anew, so that no copy lives longer than one round of them.
Copies shared_input_copies(const at::Tensor& input, const at::Tensor& weight,
                           const CopiesWanted& wanted, bool backward_follows);

/// Frees the copies that wait for another layer with the same input.
void forget_shared_input(c10::Device device);

/// The copies of a weight [N, K]: those of an earlier call, where the weight is cached
/// (include/float8/cached_weights.h) and has not changed since.
Copies weight_copies(const at::Tensor& weight, const CopiesWanted& wanted);

}  // namespace float8::ops
