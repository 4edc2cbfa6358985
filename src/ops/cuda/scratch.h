#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <bit>
#include <vector>

#include "src/ops/cuda/device.h"

namespace float8::cuda {

/// Device memory, 16-byte aligned, that an operator's second launch reads what its first one wrote
/// in; null for 0 bytes. It is this thread's own on this stream: another thread's launches may come
/// between ours. It is kept, so that a call allocates nothing, and smaller pieces stay beside
/// larger ones: a CUDA graph goes on writing to the one that it was captured with.
inline void* scratch(const Device& device, std::size_t bytes) {
  struct Piece {
    int device;
    cudaStream_t stream;
    at::Tensor memory;
  };
  constexpr std::size_t kSmallest = std::size_t{1} << 20;
  thread_local std::vector<Piece> pieces;
  if (bytes == 0) {
    return nullptr;
  }
  for (const Piece& piece : pieces) {
    if (piece.device == device.index() && piece.stream == device.stream() &&
        piece.memory.nbytes() >= bytes) {
      return piece.memory.mutable_data_ptr();
    }
  }
  const auto size = static_cast<std::int64_t>(std::bit_ceil(std::max(bytes, kSmallest)));
  pieces.push_back({device.index(), device.stream(), device.empty({size}, at::kByte)});
  return pieces.back().memory.mutable_data_ptr();
}

}  // namespace float8::cuda
