#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "float8/format.h"

// What kernels/ needs of the CUDA language beyond C++ and the keywords, in one place: everything
// here has a form for the host in tests/host_cuda/kernels/device.h, which takes this header's place
// there, so that the kernels' own source runs on a machine without a GPU.
namespace float8::kernels {

inline constexpr unsigned kWarpSize = 32;

/// 16 bytes: one 128-bit load or store.
struct alignas(16) Bytes16 {
  std::uint32_t words[4];
};

/// Loads of data that no other thread will read again soon, and that some will.
__device__ inline Bytes16 load_once(const void* aligned16) {
  const uint4 value = __ldcs(static_cast<const uint4*>(aligned16));
  return {{value.x, value.y, value.z, value.w}};
}
__device__ inline Bytes16 load(const void* aligned16) {
  const uint4 value = __ldg(static_cast<const uint4*>(aligned16));
  return {{value.x, value.y, value.z, value.w}};
}
__device__ inline void store(void* aligned16, const Bytes16& value) {
  *static_cast<uint4*>(aligned16) =
      make_uint4(value.words[0], value.words[1], value.words[2], value.words[3]);
}

/// Two floats as FP8 codes, clamped and rounded to nearest even as float8::encode does, `low` in
/// the low byte. One instruction from compute capability 8.9 on.
template <Format kFormat>
__device__ inline std::uint16_t encode_pair(float low, float high) {
#if __CUDA_ARCH__ >= 890
  std::uint16_t codes;
  if constexpr (kFormat == Format::kE4M3) {
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(codes) : "f"(high), "f"(low));
  } else {
    asm("cvt.rn.satfinite.e5m2x2.f32 %0, %1, %2;" : "=h"(codes) : "f"(high), "f"(low));
  }
  return codes;
#else
  return static_cast<std::uint16_t>(encode<kFormat>(low) | (encode<kFormat>(high) << 8));
#endif
}

/// The values of two FP8 codes, `low` that of the low byte: exact, a NaN for a NaN.
template <Format kFormat>
__device__ inline void decode_pair(std::uint16_t codes, float& low, float& high) {
#if __CUDA_ARCH__ >= 890
  std::uint32_t halves;
  if constexpr (kFormat == Format::kE4M3) {
    asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(halves) : "h"(codes));
  } else {
    asm("cvt.rn.f16x2.e5m2x2 %0, %1;" : "=r"(halves) : "h"(codes));
  }
  low = __half2float(__ushort_as_half(static_cast<std::uint16_t>(halves)));
  high = __half2float(__ushort_as_half(static_cast<std::uint16_t>(halves >> 16)));
#else
  low = decode<kFormat>(static_cast<std::uint8_t>(codes));
  high = decode<kFormat>(static_cast<std::uint8_t>(codes >> 8));
#endif
}

/// IEEE half precision, as bits.
__device__ inline float half_to_float(std::uint16_t bits) {
  return __half2float(__ushort_as_half(bits));
}
__device__ inline std::uint16_t float_to_half(float value) {
  return __half_as_ushort(__float2half_rn(value));
}

/// A product that is rounded before anything else happens to it.
__device__ inline float multiply(float a, float b) { return __fmul_rn(a, b); }

/// Byte i of the result is byte (selector >> 4i & 7) of the eight bytes of (low, high).
__device__ inline std::uint32_t select_bytes(std::uint32_t low, std::uint32_t high,
                                             std::uint32_t selector) {
  return __byte_perm(low, high, selector);
}

/// Per 16-bit half, the larger one. One instruction from compute capability 9.0 on.
__device__ inline std::uint32_t max_halves(std::uint32_t a, std::uint32_t b) {
  return __vmaxu2(a, b);
}

/// The largest value of a warp, in every lane. All lanes call it.
__device__ inline std::uint32_t warp_max(std::uint32_t value) {
  return __reduce_max_sync(0xFFFFFFFFU, value);
}

/// *shared = max(*shared, value), among a block's threads.
__device__ inline void atomic_max(std::uint32_t* shared, std::uint32_t value) {
  atomicMax(shared, value);
}

/// The shared memory whose size the launch gave, aligned to 16 bytes.
__device__ inline std::uint8_t* dynamic_shared() {
  extern __shared__ __align__(16) std::uint8_t shared[];
  return shared;
}

struct LaunchShape {
  std::int64_t blocks;  ///< below 2^31
  unsigned threads;
  std::size_t shared_bytes = 0;  ///< dynamic; above 48 KiB the kernel is told first
};

/// Starts a kernel on `stream`. Returns the launch's own status.
template <class... Parameters, class... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), const LaunchShape& shape, cudaStream_t stream,
                   Arguments... arguments) {
  constexpr std::size_t kDefaultShared = 48 * 1024;
  if (shape.shared_bytes > kDefaultShared) {
    const cudaError_t status = cudaFuncSetAttribute(
        kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shape.shared_bytes));
    if (status != cudaSuccess) {
      return status;
    }
  }
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(shape.blocks));
  config.blockDim = dim3(shape.threads);
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

}  // namespace float8::kernels
