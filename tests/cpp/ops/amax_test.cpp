#include <cmath>
#include <limits>

#include "float8/ops.h"
#include "float8/scaling.h"
#include "tests/cpp/ops/backend.h"
#include "tests/cpp/ops/reference.h"

namespace float8::testing {
namespace {

constexpr at::ScalarType kDtypes[] = {at::kFloat, at::kBFloat16, at::kHalf};
constexpr double kInfinity = std::numeric_limits<double>::infinity();

class Amax : public OnBackend {};

TEST_P(Amax, IsTheLargestMagnitudeOfEachBlock) {
  for (const at::ScalarType dtype : kDtypes) {
    for (const auto& [m, k] : {std::pair{1, 1}, {1, 37}, {37, 1}, {64, 256}, {67, 300}}) {
      SCOPED_TRACE(::testing::Message() << dtype << " " << m << " x " << k);
      const at::Tensor x = random({m, k}, dtype);
      const at::Tensor magnitude = x.abs();
      EXPECT_TRUE(same_bits(float8::amax(x, kTensorBlock), magnitude.max().view({1, 1})));
      EXPECT_TRUE(same_bits(float8::amax(x, kRowBlock), magnitude.amax(1, /*keepdim=*/true)));
      EXPECT_TRUE(same_bits(float8::amax(x, kColumnBlock), magnitude.amax(0, /*keepdim=*/true)));
    }
  }
}

TEST_P(Amax, NanWinsOverInfinityAndInfinityOverTheRest) {
  for (const at::ScalarType dtype : kDtypes) {
    at::Tensor x = at::ones({3, 20});
    x[0][19] = -kInfinity;
    x[1][3] = kInfinity;
    x[1][18] = std::nan("");
    x = put(x.to(dtype));
    const at::Tensor rows = to_double(float8::amax(x, kRowBlock));
    EXPECT_EQ(rows[0].item<double>(), kInfinity);
    EXPECT_TRUE(std::isnan(rows[1].item<double>()));
    EXPECT_EQ(rows[2].item<double>(), 1.0);
    EXPECT_TRUE(std::isnan(to_double(float8::amax(x, kTensorBlock)).item<double>()));
    const at::Tensor columns = to_double(float8::amax(x, kColumnBlock));
    EXPECT_TRUE(std::isnan(columns[0][18].item<double>()));
    EXPECT_EQ(columns[0][19].item<double>(), kInfinity);
    EXPECT_EQ(columns[0][0].item<double>(), 1.0);
  }
}

TEST_P(Amax, OfNothingIsZero) {
  EXPECT_TRUE(same_bits(float8::amax(random({0, 5}), kTensorBlock), put(at::zeros({1, 1}))));
  EXPECT_TRUE(same_bits(float8::amax(random({0, 5}), kColumnBlock), put(at::zeros({1, 5}))));
  EXPECT_TRUE(same_bits(float8::amax(random({5, 0}), kRowBlock), put(at::zeros({5, 1}))));
  EXPECT_EQ(float8::amax(random({0, 5}), kRowBlock).sizes(), (std::vector<std::int64_t>{0, 1}));
}

TEST_P(Amax, ReadsAnyStrides) {
  const at::Tensor x = random({40, 50});
  for (const at::Tensor& view : {x.t(), x.slice(1, 3, 50, 4), x.slice(0, 0, 1).expand({8, 50})}) {
    for (const Block block : {kTensorBlock, kRowBlock, kColumnBlock}) {
      EXPECT_TRUE(same_bits(float8::amax(view, block), float8::amax(view.contiguous(), block)));
    }
  }
}

FLOAT8_ON_EVERY_BACKEND(Amax);

class AmaxToScale : public OnBackend {};

// scaling.h, which tests/cpp/format holds to whole numbers, is what every backend must compute.
TEST_P(AmaxToScale, IsThatOfScalingHBitForBit) {
  at::Tensor values = at::randn({5000}).exp().pow(8);
  values = at::cat({values, at::tensor({0.0, 1e-30, 1e-12, 448.0, 57344.0, 3e38, kInfinity,
                                        static_cast<double>(std::nanf(""))},
                                       at::kFloat)});
  // Scales a few units below a power of two, where float32's log2 rounds up to it.
  for (int k = -60; k < 40; ++k) {
    values = at::cat({values, at::tensor(std::ldexp(1.75F, k)) * (1 + at::arange(30) * 0x1p-23F)});
  }
  for (const at::ScalarType dtype : kDtypes) {
    const at::Tensor amax = values.to(dtype);
    for (const Format format : {Format::kE4M3, Format::kE5M2}) {
      for (const bool power_of_two : {false, true}) {
        const at::Tensor got =
            amax_to_scale(put(amax.view({-1, 1})), scalar_type_of(format), power_of_two).cpu();
        at::Tensor want = amax.to(at::kFloat, false, /*copy=*/true);
        for (std::int64_t i = 0; i < want.numel(); ++i) {
          float& value = want.data_ptr<float>()[i];
          value = float8::amax_to_scale(value, format, power_of_two);
        }
        EXPECT_TRUE(same_bits(got, want.view({-1, 1}))) << dtype << " " << name_of(format);
      }
    }
  }
}

TEST_P(AmaxToScale, LeavesItsArgumentAlone) {
  const at::Tensor amax = put(at::full({1, 1}, 2.0));
  EXPECT_NE(amax_to_scale(amax, at::kFloat8_e4m3fn).data_ptr(), amax.data_ptr());
  EXPECT_EQ(amax.item<float>(), 2.0F);
}

TEST_P(AmaxToScale, TakesAnyShapeAndNothing) {
  for (const std::vector<std::int64_t>& sizes :
       {std::vector<std::int64_t>{}, {0}, {3}, {2, 3, 4}}) {
    EXPECT_EQ(amax_to_scale(put(at::ones(sizes)), at::kFloat8_e5m2).sizes(), sizes);
  }
}

FLOAT8_ON_EVERY_BACKEND(AmaxToScale);

}  // namespace
}  // namespace float8::testing
