#pragma once

#include <cstdint>

#include "float8/export.h"

namespace float8 {

/// How scaled_mm and scaled_mm_add_ sum the products of FP8 values on a CPU.
enum class CpuGemm : std::uint8_t {
  kFloat32,  ///< in float32: the contract of ops.h, and what every backend is held to

  /// As Hopper's tensor cores (compute capability 9.0) do, to tell how much of a difference on a
  /// GPU the hardware explains. 32 exact products and the sum so far are aligned to the largest of
  /// their exponents, cut (not rounded) to 13 fractional bits, added exactly, and the sum is cut to
  /// 13 fractional bits. With use_fast_accum one such sum runs over all of K; without it, a new one
  /// begins every 128 values of K, and the sums meet in float32.
  ///
  /// The relative error (of the norm) on normally distributed data is 1.3e-4 for any K; with
  /// use_fast_accum 5.5e-4 for K = 1024, 1.3e-3 for 4096, 7e-3 for 65536. There, sums of one sign
  /// come out too small: products between 0 and 256 by 1.3 % for K = 1024 and 7 % for 4096.
  ///
  /// No promise of a GPU's bits: cuBLASLt may split K and chooses the order of its tiles. Slower
  /// than kFloat32, by a factor of about 18. Sources: Fasi et al. 2021 (PeerJ CS 7:e330); Khattak
  /// and Mikaitis 2025 (arXiv 2512.07004); Xie et al. 2025 (MMA-Sim, arXiv 2511.10909). The
  /// interval of 128 is CUTLASS's and DeepSeek-V3's (arXiv 2412.19437).
  kTensorCore,
};

/// Chooses the CPU's GEMM for all threads of this process, for debugging. The default is kFloat32.
FLOAT8_API void set_cpu_gemm(CpuGemm gemm);

/// What set_cpu_gemm chose last.
FLOAT8_API CpuGemm cpu_gemm();

}  // namespace float8
