#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <vector>

#include "float8/export.h"

namespace float8 {

/// While it lives, the FP8 copies of weights live until the weights change: with gradient
/// accumulation a weight is quantized once per optimizer step instead of once per microbatch.
///
///     const float8::CachedWeights cached(*model);
///     for (...) { ...; loss.backward(); }
///     optimizer.step();  // writes to the weights: the next forward quantizes them again
///
/// A change is seen by torch's version counter, which every operator raises that writes to a
/// tensor, and by the tensor's memory (a `.data` that was replaced), device, dtype, sizes and
/// stream. What cannot be seen are writes that go around torch's operators: in place through
/// `.data` (`w.data.copy_(...)`) or a flat buffer that became it, through an address (an optimizer
/// with kernels of its own, a process group's broadcast and all-reduce, another process), a
/// replayed CUDA graph. After one of these call invalidate().
///
/// Costs 2 bytes of memory per weight value. No effect in inference mode, while a graph is traced,
/// and for layers that recompute the weight's copy in the backward pass. Weights of FSDP are not
/// for this: it writes to them by address. Thread safe; scopes may nest and overlap.
class FLOAT8_API CachedWeights {
 public:
  /// Of all converted float8::Linear layers in the model.
  explicit CachedWeights(const torch::nn::Module& model);
  /// Of these weights [N, K]. Throws c10::Error for tensor subclasses, tensors of inference mode
  /// and those on other devices than CPU and CUDA, whose changes are not seen.
  explicit CachedWeights(std::vector<at::Tensor> weights);
  ~CachedWeights();
  CachedWeights(const CachedWeights&) = delete;
  CachedWeights& operator=(const CachedWeights&) = delete;

  /// Forgets the copies of all cached weights in the program.
  static void invalidate();

 private:
  std::vector<at::Tensor> weights_;
};

}  // namespace float8
