#pragma once

#include <cstdint>

#include "float8/config.h"

namespace float8 {

/// What the prediction knows of a GPU. The defaults are rounded figures of one H100 SXM: what
/// large GEMMs and copies reach, not the data sheet's peaks. They are NOT YET CALIBRATED by
/// measurements of this library's own kernels.
struct GpuModel {
  double bf16_flops = 650e12;      ///< FLOP/s of a large BF16 GEMM
  double fp8_flops = 1200e12;      ///< FLOP/s of a large FP8 GEMM
  double bandwidth = 2.5e12;       ///< bytes/s of a large copy
  double seconds_per_cast = 5e-6;  ///< what a cast costs beyond its bytes: launches, the scale
  std::int64_t tokens = 8192;      ///< M: tokens of one step in one layer
};

/// Predicts time in BF16 / time in FP8 of the layer's three products, forward and backward.
///
///     time(product) = 2 M N K / FLOP/s;   time(cast) = bytes / bandwidth + seconds_per_cast
///
/// A tensor that FP8 products use is read once for its amax, read once more for the cast, and
/// written as FP8 once for each product it takes part in; rowwise scales need an amax of their own
/// for each. A product that the recipe leaves in high precision costs what it costs in BF16.
FLOAT8_API double predicted_speedup(std::int64_t in_features, std::int64_t out_features,
                                    const LinearRecipe& recipe, const GpuModel& gpu = {});

}  // namespace float8
