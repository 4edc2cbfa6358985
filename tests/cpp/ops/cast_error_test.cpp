#include <cmath>
#include <limits>

#include "tests/cpp/ops/backend.h"
#include "tests/cpp/ops/reference.h"

namespace float8::testing {
namespace {

class CastError : public OnBackend {};

// The same four numbers, value by value, from the cast that the other tests hold to its contract.
std::array<double, 4> reference(const at::Tensor& x, const at::Tensor& scale,
                                at::ScalarType dtype) {
  const at::Tensor values = to_double(x);
  const at::Tensor codes = cast(x, scale, dtype).slice(1, 0, x.size(1));
  const at::Tensor decoded = to_double(codes.contiguous());
  const at::Tensor error = decoded / to_double(scale) - values;
  const double limit = dtype == at::kFloat8_e4m3fn ? 464 : 61440;
  return {((values * to_double(scale)).abs() > limit).sum().item<double>(),
          (decoded == 0).logical_and(values != 0).sum().item<double>(),
          values.square().sum().item<double>(), error.square().sum().item<double>()};
}

TEST_P(CastError, CountsAndSums) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
    for (const at::ScalarType fp8 : {at::kFloat8_e4m3fn, at::kFloat8_e5m2}) {
      for (const auto& [m, k] : {std::pair{1, 1}, {3, 40}, {67, 129}}) {
        for (const auto& [rows, columns] : {std::pair{1, 1}, {m, 1}, {1, k}}) {
          SCOPED_TRACE(::testing::Message() << dtype << " " << fp8 << " " << m << " x " << k
                                            << " scale " << rows << " x " << columns);
          // Powers of two, whose reciprocals are exact; some values saturate, others vanish.
          const at::Tensor scale = at::exp2(at::randint(-8, 12, {rows, columns}).to(at::kFloat));
          const at::Tensor x = random({m, k}, dtype);
          const at::Tensor got = float8::cast_error(x, put(scale), fp8).cpu();
          const std::array<double, 4> want = reference(x, put(scale), fp8);
          ASSERT_EQ(got.sizes(), std::vector<std::int64_t>{4});
          ASSERT_EQ(got.scalar_type(), at::kDouble);
          EXPECT_EQ(got[0].item<double>(), want[0]);
          EXPECT_EQ(got[1].item<double>(), want[1]);
          EXPECT_NEAR(got[2].item<double>(), want[2], 1e-12 * want[2]);
          EXPECT_NEAR(got[3].item<double>(), want[3], 1e-12 * want[3]);
        }
      }
    }
  }
}

TEST_P(CastError, SaturationBeginsWhereRoundingWouldLeaveTheFormat) {
  const at::Tensor x = put(at::tensor({448.0F, -464.0F, 464.5F, -1e9F, 0.0F}).view({1, 5}));
  const at::Tensor one = put(at::ones({1, 1}));
  EXPECT_EQ(float8::cast_error(x, one, at::kFloat8_e4m3fn)[0].item<double>(), 2);
  EXPECT_EQ(float8::cast_error(x, one, at::kFloat8_e5m2)[0].item<double>(), 1);
  // 2^-10 is half of the smallest E4M3 number and a tie, which goes to zero.
  const at::Tensor small = put(at::tensor({0x1p-10F, -0x1.2p-10F, 0.0F}).view({1, 3}));
  EXPECT_EQ(float8::cast_error(small, one, at::kFloat8_e4m3fn)[1].item<double>(), 1);
}

TEST_P(CastError, OfNothingIsZeroAndOfNonFiniteValuesNan) {
  const at::Tensor one = put(at::ones({1, 1}));
  for (const auto& [m, k] : {std::pair{0, 5}, {5, 0}}) {
    const at::Tensor none = float8::cast_error(random({m, k}), one, at::kFloat8_e4m3fn).cpu();
    EXPECT_TRUE(at::equal(none, at::zeros({4}, at::kDouble)));
  }
  at::Tensor x = random({3, 20});
  x[1][7] = std::numeric_limits<float>::infinity();
  const at::Tensor scale = amax_to_scale(float8::amax(x), at::kFloat8_e4m3fn);
  const at::Tensor got = float8::cast_error(x, scale, at::kFloat8_e4m3fn).cpu();
  EXPECT_TRUE(std::isnan(got[3].item<double>()));
}

FLOAT8_ON_EVERY_BACKEND(CastError);

}  // namespace
}  // namespace float8::testing
