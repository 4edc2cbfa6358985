#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <string>

#include "float8/config.h"
#include "float8/ops.h"
#include "float8/scaling.h"
#include "tests/cpp/format/reference.h"

// The operators a second time, value by value in double, on the CPU. scaling.h has a test against
// whole numbers of its own and is used here.
namespace float8::testing {

inline Format format_of(at::ScalarType dtype) {
  return dtype == at::kFloat8_e4m3fn ? Format::kE4M3 : Format::kE5M2;
}

inline at::Tensor to_double(const at::Tensor& x) {
  const at::Tensor values = x.detach().cpu().contiguous();
  if (x.scalar_type() != at::kFloat8_e4m3fn && x.scalar_type() != at::kFloat8_e5m2) {
    return values.to(at::kDouble);
  }
  at::Tensor result = at::empty(x.sizes(), at::kDouble);
  const auto* codes = static_cast<const std::uint8_t*>(values.const_data_ptr());
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    result.data_ptr<double>()[i] = reference_decode(codes[i], format_of(x.scalar_type()));
  }
  return result;
}

/// The bytes of FP8 data, on the CPU.
inline at::Tensor codes_of(const at::Tensor& fp8) {
  return fp8.detach().cpu().contiguous().view(at::kByte);
}

struct ReferenceCopy {
  at::Tensor codes;      ///< bytes, padded
  at::Tensor scale;      ///< float32, [1, 1] or [rows of codes, 1]
  at::Tensor scale_inv;  ///< its reciprocal
};

/// What quantize returns for x [M, K].
inline ReferenceCopy reference_quantize(const at::Tensor& x, Format format, Block block,
                                        bool power_of_two, bool transpose) {
  at::Tensor values = to_double(x);
  values = (transpose ? values.t() : values).contiguous();
  const std::int64_t rows = values.size(0);
  const std::int64_t columns = values.size(1);
  const bool rowwise = block == kRowBlock;
  ReferenceCopy copy;
  copy.codes = at::zeros({rows, (columns + 15) / 16 * 16}, at::kByte);
  copy.scale = at::empty({rowwise ? rows : 1, 1}, at::kFloat);
  const auto in = values.accessor<double, 2>();
  auto out = copy.codes.accessor<std::uint8_t, 2>();
  const auto amax_of_rows = [&](std::int64_t first, std::int64_t last) {
    double amax = 0;
    for (std::int64_t r = first; r < last; ++r) {
      for (std::int64_t c = 0; c < columns; ++c) {
        const bool nan = std::isnan(amax) || std::isnan(in[r][c]);
        amax = nan ? std::nan("") : std::max(amax, std::fabs(in[r][c]));
      }
    }
    return static_cast<float>(amax);
  };
  for (std::int64_t i = 0; i < copy.scale.size(0); ++i) {
    const float amax = rowwise ? amax_of_rows(i, i + 1) : amax_of_rows(0, rows);
    copy.scale.data_ptr<float>()[i] = float8::amax_to_scale(amax, format, power_of_two);
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    const float scale = copy.scale.data_ptr<float>()[rowwise ? r : 0];
    for (std::int64_t c = 0; c < columns; ++c) {
      out[r][c] = reference_encode(static_cast<float>(in[r][c]) * scale, format);
    }
  }
  copy.scale_inv = 1.0F / copy.scale;
  return copy;
}

/// x as the GEMM sees it: quantized and dequantized, in double, without the padding.
inline at::Tensor reference_roundtrip(const at::Tensor& x, Format format, Block block,
                                      bool power_of_two, bool transpose) {
  const ReferenceCopy copy = reference_quantize(x, format, block, power_of_two, transpose);
  const at::Tensor values = to_double(copy.codes.view(scalar_type_of(format)));
  return (values * copy.scale_inv.to(at::kDouble)).slice(1, 0, x.size(transpose ? 0 : 1));
}

/// Half a unit in the last place of 1.
inline double unit_roundoff(at::ScalarType dtype) {
  return dtype == at::kFloat ? 0x1p-24 : dtype == at::kBFloat16 ? 0x1p-8 : 0x1p-11;
}

/// What a backend's products add to the error of float32 sums, of sum |a b|: 0, or what tensor
/// cores cut off (13 fractional bits are kept of each sum of 32 products: Fasi et al. 2021; for
/// Hopper Khattak and Mikaitis 2025, arXiv 2512.07004). OnBackend sets it.
inline double tensor_core_roundoff = 0;

/// A product in double, and how far a float32 accumulation may be from it: each of K products and
/// sums, and the two scales, is off by at most 2^-24 of the sum of magnitudes.
struct ReferenceProduct {
  ReferenceProduct() = default;
  ReferenceProduct(const at::Tensor& a, const at::Tensor& b)
      : value(at::mm(a, b.t())),
        bound(at::mm(a.abs(), b.abs().t()) *
              (static_cast<double>(a.size(1) + 4) * 0x1p-24 + tensor_core_roundoff)) {}
  at::Tensor value;
  at::Tensor bound;
};

/// got equals want to the product's bound and `roundings` roundings to got's dtype; where that is
/// float16, also to its smallest step.
inline ::testing::AssertionResult is_close(const at::Tensor& got, const ReferenceProduct& want,
                                           int roundings = 1) {
  if (got.sizes() != want.value.sizes()) {
    return ::testing::AssertionFailure() << got.sizes() << " instead of " << want.value.sizes();
  }
  const double step = got.scalar_type() == at::kHalf ? 0x1p-24 : 0.0;
  const at::Tensor bound =
      want.bound + want.value.abs() * (roundings * unit_roundoff(got.scalar_type())) + step;
  const at::Tensor error = (to_double(got) - want.value).abs();
  if (got.numel() == 0 || at::all(error <= bound).item<bool>()) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure()
         << "the error is " << (error / bound).max().item<double>() << " times its bound";
}

/// Equal bit for bit, a NaN to a NaN.
inline bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() &&
         at::allclose(to_double(a), to_double(b), 0, 0, /*equal_nan=*/true);
}

}  // namespace float8::testing
