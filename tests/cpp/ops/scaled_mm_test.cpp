#include "float8/ops.h"
#include "tests/cpp/ops/backend.h"
#include "tests/cpp/ops/reference.h"

namespace float8::testing {
namespace {

constexpr at::ScalarType kE4M3 = at::kFloat8_e4m3fn;
constexpr at::ScalarType kE5M2 = at::kFloat8_e5m2;
constexpr at::ScalarType kDtypes[] = {at::kFloat, at::kBFloat16, at::kHalf};

class ScaledMm : public OnBackend {
 protected:
  // FP8 values around 1, with the scales of a rowwise or a tensorwise cast.
  at::Tensor data(std::int64_t rows, std::int64_t k, at::ScalarType fp8) const {
    return put(at::randn({rows, k}).mul(3).to(fp8));
  }
  at::Tensor scale(std::int64_t rows) const { return put(at::randn({rows, 1}).exp()); }

  static at::Tensor multiply(const at::Tensor& a, const at::Tensor& b, const at::Tensor& scale_a,
                             const at::Tensor& scale_b, at::ScalarType dtype,
                             const std::optional<at::Tensor>& bias = std::nullopt) {
    return scaled_mm(a, b, scale_a, scale_b, bias, dtype, /*use_fast_accum=*/false,
                     GetParam().emulate);
  }

  static ReferenceProduct reference(const at::Tensor& a, const at::Tensor& b,
                                    const at::Tensor& scale_a, const at::Tensor& scale_b) {
    return {to_double(a) * to_double(scale_a), to_double(b) * to_double(scale_b)};
  }
};

TEST_P(ScaledMm, IsTheProductInDoubleRoundedOnce) {
  const std::array<std::int64_t, 3> shapes[] = {{1, 1, 16},    {7, 5, 32},     {64, 64, 256},
                                                {65, 67, 272}, {130, 33, 512}, {3, 200, 1040}};
  for (const auto& [m, n, k] : shapes) {
    for (const auto& [a_dtype, b_dtype] :
         {std::pair{kE4M3, kE4M3}, {kE5M2, kE4M3}, {kE4M3, kE5M2}}) {
      for (const auto& [a_rows, b_rows] :
           {std::pair<std::int64_t, std::int64_t>{1, 1}, {m, n}, {m, 1}, {1, n}}) {
        const at::Tensor a = data(m, k, a_dtype);
        const at::Tensor b = data(n, k, b_dtype);
        const at::Tensor scale_a = scale(a_rows);
        const at::Tensor scale_b = scale(b_rows);
        const ReferenceProduct want = reference(a, b, scale_a, scale_b);
        for (const at::ScalarType dtype : kDtypes) {
          EXPECT_TRUE(is_close(multiply(a, b, scale_a, scale_b, dtype), want))
              << m << " x " << n << " x " << k << " " << a_dtype << " " << b_dtype << " scales "
              << a_rows << " " << b_rows << " " << dtype;
        }
      }
    }
  }
}

TEST_P(ScaledMm, IsExactWhereFloat32Is) {
  const at::Tensor a = put(at::randint(-8, 9, {33, 64}).to(kE4M3));
  const at::Tensor b = put(at::randint(-8, 9, {17, 64}).to(kE4M3));
  const at::Tensor one = put(at::ones({1, 1}));
  const at::Tensor got = multiply(a, b, one, one, at::kFloat);
  EXPECT_TRUE(at::equal(to_double(got), at::mm(to_double(a), to_double(b).t())));
}

// Rounded before the bias and after it, or once: a GEMM's epilogue adds a bias of 16 bits itself.
TEST_P(ScaledMm, AddsTheBias) {
  const at::Tensor a = data(20, 48, kE4M3);
  const at::Tensor b = data(32, 48, kE4M3);
  const at::Tensor scale_a = scale(20);
  const at::Tensor scale_b = scale(1);
  for (const at::ScalarType dtype : kDtypes) {
    const at::Tensor bias = put(at::randn({32}).to(dtype));
    const at::Tensor got = multiply(a, b, scale_a, scale_b, dtype, bias);
    const bool once = GetParam().fuses_bias && dtype != at::kFloat;
    const at::ScalarType first = once ? at::kFloat : dtype;
    const at::Tensor product = multiply(a, b, scale_a, scale_b, first);
    EXPECT_TRUE(at::equal(got, (product + bias.to(first)).to(dtype))) << dtype;
  }
}

TEST_P(ScaledMm, AddsToAnAccumulator) {
  for (const auto& [m, n, k] : {std::array<std::int64_t, 3>{33, 48, 64}, {5, 7, 16}, {4, 16, 0}}) {
    for (const bool rowwise : {false, true}) {
      const at::Tensor a = data(m, k, kE4M3);
      const at::Tensor b = data(n, k, kE4M3);
      const at::Tensor scale_a = scale(rowwise ? m : 1);
      const at::Tensor scale_b = scale(rowwise ? n : 1);
      const at::Tensor start = put(at::randint(-64, 65, {n, m}).to(at::kFloat)).t();
      for (const at::Tensor& sum : {start.clone(at::MemoryFormat::Contiguous), start.clone()}) {
        scaled_mm_add_(sum, a, b, scale_a, scale_b, false, GetParam().emulate);
        ReferenceProduct want = reference(a, b, scale_a, scale_b);
        want.value = want.value + to_double(start);
        want.bound = want.bound + to_double(start).abs() * 0x1p-23;
        EXPECT_TRUE(is_close(sum, want, /*roundings=*/2)) << m << " x " << n << " x " << k;
      }
    }
  }
}

TEST_P(ScaledMm, OfNothingIsZeroOrEmpty) {
  const at::Tensor one = put(at::ones({1, 1}));
  const at::Tensor nothing = multiply(data(3, 0, kE4M3), data(5, 0, kE4M3), one, one, at::kFloat);
  EXPECT_TRUE(at::equal(nothing, put(at::zeros({3, 5}))));
  EXPECT_EQ(multiply(data(0, 16, kE4M3), data(5, 16, kE4M3), one, one, at::kFloat).sizes(),
            (std::vector<std::int64_t>{0, 5}));
  EXPECT_EQ(multiply(data(3, 16, kE4M3), data(0, 16, kE4M3), one, one, at::kFloat).sizes(),
            (std::vector<std::int64_t>{3, 0}));
}

TEST_P(ScaledMm, ReadsAnyStrides) {
  const at::Tensor a = data(32, 40, kE4M3).t();  // [40, 32]
  const at::Tensor b = data(20, 64, kE4M3).slice(1, 0, 64, 2);
  const at::Tensor scale_a = scale(80).slice(0, 0, 80, 2);
  const at::Tensor one = put(at::ones({1, 1}));
  EXPECT_TRUE(
      at::equal(multiply(a, b, scale_a, one, at::kFloat),
                multiply(a.contiguous(), b.contiguous(), scale_a.contiguous(), one, at::kFloat)));
}

TEST_P(ScaledMm, NanAndInfinityStayInTheirRowAndColumn) {
  const at::Tensor one = put(at::ones({1, 1}));
  const at::Tensor a = data(6, 32, kE5M2);
  const at::Tensor b = data(7, 32, kE4M3);
  const at::Tensor clean = multiply(a, b, one, one, at::kFloat);
  at::Tensor codes_a = codes_of(a).clone();
  codes_a[2][5] = 0x7C;  // infinity
  at::Tensor codes_b = codes_of(b).clone();
  codes_b[4][9] = 0x7F;  // NaN
  const at::Tensor got =
      multiply(put(codes_a.view(kE5M2)), put(codes_b.view(kE4M3)), one, one, at::kFloat);
  for (int r = 0; r < 6; ++r) {
    for (int c = 0; c < 7; ++c) {
      if (r == 2 || c == 4) {
        EXPECT_FALSE(std::isfinite(got[r][c].item<float>())) << r << " " << c;
      } else {
        EXPECT_EQ(got[r][c].item<float>(), clean[r][c].item<float>()) << r << " " << c;
      }
    }
  }
}

TEST_P(ScaledMm, QuantizedOperandsGiveNearlyTheHighPrecisionProduct) {
  const at::Tensor x = put(at::randn({96, 128}));
  const at::Tensor w = put(at::randn({64, 128}));
  const auto [a, scale_a] = quantize(x, kE4M3, kRowBlock);
  const auto [b, scale_b] = quantize(w, kE4M3, kRowBlock);
  const at::Tensor got = to_double(multiply(a, b, scale_a, scale_b, at::kFloat));
  const at::Tensor want = at::mm(to_double(x), to_double(w).t());
  // E4M3 has 3 bits: each factor is off by about 2.5 %, both by 3.7 %.
  EXPECT_LT(((got - want).norm() / want.norm()).item<double>(), 0.045);
}

FLOAT8_ON_EVERY_BACKEND(ScaledMm);

}  // namespace
}  // namespace float8::testing
